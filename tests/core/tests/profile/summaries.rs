//! Summaries that all ranks agree on, whatever each of them did.

use std::time::Duration;

use dolmen_core::profile::{self, Profile};
use dolmen_core::{Comm, Layout, Vector};
use dolmen_tests::TestResult;

use crate::find;

const NAMES: [&str; 3] = ["Zero", "One", "Two"];

pub(crate) fn different_events(comm: &Comm) -> TestResult {
    let profile = Profile::start(comm)?;
    {
        let _all = profile::event("All");
        for _ in 0..=comm.rank() {
            let _mine = profile::event(NAMES[comm.rank()]).flops(10);
            let _deeper = profile::event("Deeper").bytes(1);
        }
    }
    let (summary, _) = profile.finish();
    let ranks = comm.size() as u64;
    assert_eq!(summary.events().len(), 2 + 2 * comm.size());
    for (rank, name) in NAMES.iter().enumerate().take(comm.size()) {
        let event = find(&summary, &format!("All/{name}")).ok_or(*name)?;
        let times = rank as u64 + 1;
        let least = if ranks == 1 { times } else { 0 };
        assert_eq!((event.count, event.min_count, event.flops, event.bytes), (times, least, 10 * times, times));
        assert_eq!(event.time.max_rank, rank);
        assert_eq!(event.time.min > 0.0, ranks == 1);
        assert!((event.time.mean * ranks as f64 - event.time.max).abs() < 1e-12);
        assert!(find(&summary, &format!("All/{name}/Deeper")).is_some());
    }
    let all = find(&summary, "All").ok_or("no All")?;
    assert_eq!((all.count, all.min_count, all.flops), (1, 1, 10 * ranks * (ranks + 1) / 2));
    Ok(())
}

pub(crate) fn same_everywhere(comm: &Comm) -> TestResult {
    let profile = Profile::start(comm)?;
    if comm.rank() == comm.size() - 1 {
        let _slow = profile::event("Slow");
        std::thread::sleep(Duration::from_millis(20));
    }
    let x = Vector::<f64>::from_fn(&Layout::uniform(comm, 1000), |row| row as f64);
    x.norm2();
    let (summary, _) = profile.finish();
    let slow = find(&summary, "Slow").ok_or("no Slow")?;
    assert!(slow.time.max >= 0.02 && slow.time.max < summary.total().time.max, "{slow:?}");
    assert_eq!((slow.own_time.max_rank, summary.ranks()), (comm.size() - 1, comm.size()));
    let text = format!("{summary:?}\n{summary}").into_bytes();
    let same = comm.gather(0, &text).is_none_or(|all| all.iter().all(|other| *other == text));
    assert!(same, "ranks have different summaries");
    Ok(())
}

pub(crate) fn only_while_running(comm: &Comm) -> TestResult {
    let before = profile::event("Before");
    let profile = Profile::start(comm)?;
    let error = Profile::start(comm).map(drop).unwrap_err().to_string();
    assert!(error.contains("a profile is running already; finish it"), "{error}");
    drop(before);
    let open = profile::event("Open");
    drop(profile);
    comm.barrier();
    let profile = Profile::start(comm)?;
    // An event of the last profile belongs to nothing now.
    let open = open.flops(1);
    drop(open);
    let last = profile::event("Last");
    let (summary, _) = profile.finish();
    drop(last);
    let names: Vec<_> = summary.events().iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["total", "Last"]);
    assert_eq!(summary.total().flops, 0);
    Ok(())
}

pub(crate) fn table(comm: &Comm) -> TestResult {
    let profile = Profile::start(comm)?;
    {
        let _outer = profile::event("Outer").flops(1 << 30);
        let _inner = profile::event("Inner").messages(2, 9);
        std::thread::sleep(Duration::from_millis(if comm.rank() == 1 { 40 } else { 10 }));
    }
    let text = profile.finish().0.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("profile of 2 ranks, "), "{text}");
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert!(lines[2].starts_with("total ") && lines[3].starts_with("  Outer ") && lines[4].starts_with("    Inner "));
    let inner = cells(lines[4]);
    // Name, count, ratio, max s, ratio, incl %, self %, Gflop/s, GB/s, messages, avg bytes.
    assert_eq!([&inner[1], &inner[2], &inner[7], &inner[8], &inner[9], &inner[10]], ["1", "1.0", "-", "-", "4", "4"]);
    let ratio: f64 = inner[4].parse()?;
    assert!(ratio > 1.5 && inner[3].parse::<f64>()? >= 0.04, "{text}");
    let rate: f64 = cells(lines[3])[7].parse()?;
    assert!(rate > 0.0 && rate <= 2.0 * 1.074 / 0.04, "{text}");
    assert!(lines[5].starts_with("imbalance: largest in Inner, where rank 1 spends "), "{text}");
    Ok(())
}
