//! Timing, and the lines that are printed.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Instant;

use dolmen_core::Comm;
use serde_json::json;

/// Doubles in each of the triad's arrays over all ranks: far more than caches hold.
const STREAM_LEN: usize = 20_000_000;

/// What was asked for on the command line.
pub(crate) struct Bench {
    pub(crate) comm: Comm,
    prefixes: Vec<String>,
    repeats: usize,
    max_seconds: f64,
    /// Where files are written.
    pub(crate) folder: PathBuf,
    stream: RefCell<Stream>,
}

/// The arrays of STREAM's triad, `a = b + s c`.
struct Stream {
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
}

/// The work that a case does.
pub(crate) struct Case<'c> {
    pub(crate) name: &'c str,
    /// Global vector length or rows.
    pub(crate) n: u64,
    /// Entries of the matrix, zero without one.
    pub(crate) entries: u64,
    /// Bytes that have to move over all ranks, by the model of a CSR matrix; zero without a model.
    pub(crate) bytes: f64,
}

impl Bench {
    pub(crate) fn from_args(comm: &Comm, mut args: impl Iterator<Item = String>) -> Result<Bench, String> {
        let (mut prefixes, mut repeats, mut max_seconds) = (Vec::new(), 10, 2.0);
        let mut folder = PathBuf::from("io");
        while let Some(option) = args.next() {
            let value = args.next().ok_or_else(|| format!("{option} needs a value"))?;
            let bad = |_| format!("{option} {value} is not a number");
            match option.as_str() {
                "--dir" => folder = value.into(),
                "--case" if value == "all" => prefixes.clear(),
                "--case" => prefixes = value.split(',').map(str::to_owned).collect(),
                "--repeats" => repeats = value.parse().map_err(bad)?,
                "--maxsec" => max_seconds = value.parse().map_err(|_| format!("--maxsec {value} is not a number"))?,
                _ => return Err(format!("unknown option {option}")),
            }
        }
        let len = STREAM_LEN / comm.size();
        let array = |value: f64| vec![value; len];
        let stream = RefCell::new(Stream { a: array(0.0), b: array(1.0), c: array(2.0) });
        Ok(Bench { comm: comm.clone(), prefixes, repeats, max_seconds, folder, stream })
    }

    /// Whether a case was asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }

    /// Whether any case whose name starts so was asked for.
    pub(crate) fn wants_group(&self, group: &str) -> bool {
        let meets = |prefix: &String| prefix.starts_with(group) || group.starts_with(prefix.as_str());
        self.prefixes.is_empty() || self.prefixes.iter().any(meets)
    }

    /// The slowest rank's times of `work`, ascending.
    fn times(&self, repeats: usize, mut work: impl FnMut()) -> Vec<f64> {
        let mut times = Vec::new();
        let mut total = [0.0f64];
        while times.len() < repeats && (times.len() < 3 || total[0] < self.max_seconds) {
            self.comm.barrier();
            let start = Instant::now();
            work();
            let mut seconds = [start.elapsed().as_secs_f64()];
            self.comm.all_reduce_max(&mut seconds);
            times.push(seconds[0]);
            total[0] += seconds[0];
        }
        times.sort_by(f64::total_cmp);
        times
    }

    /// Bytes a second of STREAM's triad over all ranks, the best of five.
    fn triad(&self) -> f64 {
        let mut stream = self.stream.borrow_mut();
        let Stream { a, b, c } = &mut *stream;
        let times = self.times(5, || {
            for ((a, b), c) in a.iter_mut().zip(&*b).zip(&*c) {
                *a = b + 3.0 * c;
            }
            std::hint::black_box(&*a);
        });
        24.0 * (a.len() * self.comm.size()) as f64 / times[0]
    }

    /// The triad as a case of its own.
    pub(crate) fn stream(&self) {
        if self.wants("a.triad") {
            let rate = self.triad().max(self.triad());
            let n = (STREAM_LEN / self.comm.size() * self.comm.size()) as u64;
            let seconds = 24.0 * n as f64 / rate;
            self.print(&Case { name: "a.triad", n, entries: 0, bytes: 24.0 * n as f64 }, seconds, seconds, rate);
        }
    }

    /// Times a case of large files, if it was asked for: three times, each after `prepare`.
    pub(crate) fn few(&self, case: &Case<'_>, mut prepare: impl FnMut(), mut work: impl FnMut()) {
        if !self.wants(case.name) {
            return;
        }
        let before = self.triad();
        let mut times: Vec<f64> = Vec::new();
        for _ in 0..self.repeats.min(3) {
            prepare();
            times.extend(self.times(1, &mut work));
        }
        times.sort_by(f64::total_cmp);
        self.print(case, times[0], times[times.len() / 2], before.max(self.triad()));
    }

    /// Times a case, if it was asked for, and prints its line.
    pub(crate) fn case(&self, case: &Case<'_>, mut work: impl FnMut()) {
        if !self.wants(case.name) {
            return;
        }
        let before = self.triad();
        // Once outside the clock: memory is touched, plans and buffers are made.
        work();
        let times = self.times(self.repeats, work);
        let rate = before.max(self.triad());
        self.print(case, times[0], times[times.len() / 2], rate);
    }

    fn print(&self, case: &Case<'_>, seconds: f64, median: f64, triad: f64) {
        let rate = case.bytes / seconds;
        let known = case.bytes > 0.0;
        let line = json!({
            "system": "dolmen",
            "case": case.name,
            "ranks": self.comm.size(),
            "n": case.n,
            "nnz": case.entries,
            "seconds_min": seconds,
            "seconds_median": median,
            "bytes_model": case.bytes,
            "gbps": known.then_some(rate / 1e9),
            "stream_share": known.then_some(rate / triad),
        });
        if self.comm.rank() == 0 {
            println!("{line}");
        }
    }
}
