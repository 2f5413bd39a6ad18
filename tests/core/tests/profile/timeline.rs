//! Timelines, read back from the file.

use dolmen_core::profile::{self, Profile};
use dolmen_core::{Comm, Layout, Vector};
use dolmen_tests::{Folder, TestResult};
use serde_json::Value;

/// Writes a timeline and reads its events on all ranks.
fn written(comm: &Comm, profile: Profile) -> TestResult<Vec<Value>> {
    let (_, trace) = profile.finish();
    let folder = Folder::new(comm)?;
    let path = folder.path().join("trace.json");
    trace.write(&path)?;
    let mut file: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    folder.remove(comm);
    Ok(file["traceEvents"].as_array_mut().map(std::mem::take).ok_or("no list of events")?)
}

/// Beginning and end in ns, of a complete event.
fn interval(event: &Value) -> TestResult<(f64, f64)> {
    let number = |key: &str| event[key].as_f64().ok_or_else(|| format!("{event} has no number {key}"));
    let start = (number("ts")? * 1000.0).round();
    Ok((start, start + (number("dur")? * 1000.0).round()))
}

pub(crate) fn nests(comm: &Comm) -> TestResult {
    let x = Vector::<f64>::from_fn(&Layout::uniform(comm, 1000), |row| row as f64);
    let profile = Profile::start(comm)?;
    for _ in 0..3 {
        let _step = profile::event("a \"step\"");
        x.norm2();
    }
    let events = written(comm, profile)?;
    for rank in 0..comm.size() {
        let mine = events.iter().filter(|event| event["pid"] == rank);
        let (named, complete): (Vec<&Value>, Vec<&Value>) = mine.partition(|event| event["ph"] == "M");
        assert_eq!(named.len(), 1);
        assert_eq!(named[0]["args"]["name"], format!("rank {rank}"));
        let names: Vec<_> = complete.iter().map(|event| event["name"].as_str().unwrap_or_default()).collect();
        assert_eq!(names, ["a \"step\"", "VecNorm", "AllReduce"].repeat(3));
        let mut last_end = 0.0;
        for step in complete.chunks(3) {
            let [outer, norm, reduction] = [interval(step[0])?, interval(step[1])?, interval(step[2])?];
            assert!(step.iter().all(|event| event["ph"] == "X"));
            assert!(last_end <= outer.0 && outer.0 <= norm.0 && norm.0 <= reduction.0, "{step:?}");
            assert!(reduction.0 < reduction.1 && reduction.1 <= norm.1 && norm.1 <= outer.1, "{step:?}");
            last_end = outer.1;
        }
    }
    assert_eq!(events.len(), 10 * comm.size());
    Ok(())
}

pub(crate) fn is_bounded(comm: &Comm) -> TestResult {
    // What is not used takes no memory, however much is allowed.
    drop(Profile::with_trace_limit(comm, usize::MAX)?);
    let profile = Profile::with_trace_limit(comm, 4)?;
    {
        let _outer = profile::event("Outer");
        for _ in 0..10 + comm.rank() {
            let _inner = profile::event("Inner");
        }
    }
    let ranks = comm.size();
    let all: usize = (0..ranks).map(|rank| 7 + rank).sum();
    let (summary, trace) = profile.finish();
    assert_eq!(summary.dropped(), all as u64);
    assert!(summary.to_string().contains(&format!("trace: {all} events were left out")));
    let folder = Folder::new(comm)?;
    let path = folder.path().join("trace.json");
    trace.write(&path)?;
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    folder.remove(comm);
    let events = file["traceEvents"].as_array().ok_or("no list of events")?;
    assert_eq!(events.iter().filter(|event| event["ph"] == "X").count(), 4 * ranks);
    let last = events.iter().find(|event| event["pid"] == ranks - 1 && event["name"] == "process_labels");
    assert_eq!(last.ok_or("no label")?["args"]["labels"], format!("{} events left out", 6 + ranks));
    Ok(())
}

pub(crate) fn cannot_be_written(comm: &Comm) -> TestResult {
    for path in ["/nowhere/at/all.json", "/dev/full"] {
        let profile = Profile::start(comm)?;
        comm.barrier();
        let error = profile.finish().1.write(path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{path}: cannot write the trace: ")), "{error}");
    }
    Ok(())
}
