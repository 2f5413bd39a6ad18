//! Timing, and the lines that are printed.

mod ffi;

use std::cell::{OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Instant;

use dolmen_core::Comm;
use dolmen_io::Location;
use dolmen_solvers::SolveReport;
use ffi::cpu_seconds;
use serde_json::{Value, json};

/// Doubles in each of the triad's arrays over all ranks: far more than caches hold.
const STREAM_LEN: usize = 20_000_000;

/// Choices of the command line. `--matrix FILE[::OBJECT]` chooses the cases on the matrix of a file of any format, which
/// `--name NAME` names, and no others.
pub(crate) struct Bench {
    pub(crate) comm: Comm,
    prefixes: Vec<String>,
    repeats: usize,
    max_seconds: f64,
    folder: PathBuf,
    matrix: Option<(String, Location)>,
    /// Made when a case needs it.
    stream: OnceCell<RefCell<Stream>>,
}

/// The arrays of STREAM's triad, `a = b + s c`.
struct Stream {
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
}

/// Times of a case, repeat by repeat.
#[derive(Default)]
struct Times {
    wall: Vec<f64>,
    /// Time on a core: on a machine that others use too, what the work itself took.
    cpu: Vec<f64>,
}

/// The name of a file up to its first dot.
fn stem(location: &Location) -> String {
    let name = location.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The work that a case does.
pub(crate) struct Case<'c> {
    pub(crate) name: &'c str,
    /// Global vector length or rows.
    pub(crate) n: u64,
    /// Entries of the matrix, zero without one.
    pub(crate) entries: u64,
    /// Bytes that are read and written at least, over all ranks; zero if nobody counts them.
    pub(crate) bytes: f64,
}

impl Bench {
    pub(crate) fn from_args(comm: &Comm, mut args: impl Iterator<Item = String>) -> Result<Bench, String> {
        let (mut prefixes, mut repeats, mut max_seconds) = (Vec::new(), 10, 2.0);
        let (mut matrix, mut name) = (None, None);
        let mut folder = std::env::temp_dir();
        while let Some(option) = args.next() {
            let value = args.next().ok_or_else(|| format!("{option} needs a value"))?;
            let bad = |_| format!("{option} {value} is not a number");
            match option.as_str() {
                "--matrix" => matrix = Some(Location::from(value)),
                "--name" => name = Some(value),
                "--dir" => folder = value.into(),
                "--case" if value == "all" => prefixes.clear(),
                "--case" => prefixes = value.split(',').map(str::to_owned).collect(),
                "--repeats" => repeats = value.parse().map_err(bad)?,
                "--maxsec" => max_seconds = value.parse().map_err(|_| format!("--maxsec {value} is not a number"))?,
                _ => return Err(format!("unknown option {option}")),
            }
        }
        if name.is_some() && matrix.is_none() {
            return Err("--name is that of a matrix; give --matrix FILE too".to_owned());
        }
        let matrix = matrix.map(|from| (name.unwrap_or_else(|| stem(&from)), from));
        Ok(Bench { comm: comm.clone(), prefixes, repeats, max_seconds, folder, matrix, stream: OnceCell::new() })
    }

    /// Returns true if a case was asked for; of a given matrix, only those that end in its name.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let on_matrix =
            |(matrix, _): &(String, Location)| name.strip_suffix(matrix).is_some_and(|case| case.ends_with('.'));
        self.matrix.as_ref().is_none_or(on_matrix) && self.is_chosen(name)
    }

    fn is_chosen(&self, name: &str) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }

    /// Returns true if a case was asked for whose name starts with `start`.
    pub(crate) fn wants_any(&self, start: &str) -> bool {
        self.matrix.is_none()
            && (self.prefixes.is_empty()
                || self.prefixes.iter().any(|prefix| prefix.starts_with(start) || start.starts_with(prefix)))
    }

    /// Returns the folder for files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the name of the cases of the matrix that was given, and its file.
    pub(crate) fn matrix(&self) -> Option<&(String, Location)> {
        self.matrix.as_ref()
    }

    fn matrix_name(&self) -> Option<&str> {
        self.matrix.as_ref().map(|(name, _)| name.as_str())
    }

    /// Does `work` between barriers and notes how long the slowest rank took.
    fn time<V>(&self, times: &mut Times, work: impl FnOnce() -> V) -> V {
        self.comm.barrier();
        let (start, busy) = (Instant::now(), cpu_seconds());
        let value = work();
        let mut seconds = [start.elapsed().as_secs_f64(), cpu_seconds() - busy];
        self.comm.all_reduce_max(&mut seconds);
        times.wall.push(seconds[0]);
        times.cpu.push(seconds[1]);
        value
    }

    /// Returns true if another repeat is due after these times.
    fn wants_more(&self, times: &Times, repeats: usize) -> bool {
        let done = times.wall.len();
        done < repeats && (done < 3 || times.wall.iter().sum::<f64>() < self.max_seconds)
    }

    /// The slowest rank's times of `work`.
    fn times(&self, repeats: usize, mut work: impl FnMut()) -> Times {
        let mut times = Times::default();
        while self.wants_more(&times, repeats) {
            self.time(&mut times, &mut work);
        }
        times
    }

    /// Bytes a second of STREAM's triad over all ranks, the best of five.
    fn triad(&self) -> f64 {
        let array = |value: f64| vec![value; STREAM_LEN / self.comm.size()];
        let made = || RefCell::new(Stream { a: array(0.0), b: array(1.0), c: array(2.0) });
        let mut stream = self.stream.get_or_init(made).borrow_mut();
        let Stream { a, b, c } = &mut *stream;
        let times = self.times(5, || {
            for ((a, b), c) in a.iter_mut().zip(&*b).zip(&*c) {
                *a = b + 3.0 * c;
            }
            std::hint::black_box(&*a);
        });
        24.0 * (a.len() * self.comm.size()) as f64 / least(&times.wall)
    }

    /// The triad's rate, where a case is compared with it.
    fn rate(&self, case: &Case<'_>) -> f64 {
        if case.bytes > 0.0 { self.triad() } else { 0.0 }
    }

    /// The triad as a case of its own.
    pub(crate) fn stream(&self) {
        if self.wants("a.triad") {
            let rate = self.triad().max(self.triad());
            let n = (STREAM_LEN / self.comm.size() * self.comm.size()) as u64;
            let times = Times { wall: vec![24.0 * n as f64 / rate], cpu: Vec::new() };
            self.print(&Case { name: "a.triad", n, entries: 0, bytes: 24.0 * n as f64 }, &times, rate, json!({}));
        }
    }

    /// Times a case, if it was asked for, and prints its line.
    pub(crate) fn case(&self, case: &Case<'_>, mut work: impl FnMut()) {
        if !self.wants(case.name) {
            return;
        }
        let before = self.rate(case);
        // Once outside the clock: memory is touched, plans and buffers are made.
        work();
        let times = self.times(self.repeats, work);
        let rate = before.max(self.rate(case));
        self.print(case, &times, rate, json!({}));
    }

    /// Times a case of large files, if it was asked for: three times, each after `prepare`.
    pub(crate) fn few(&self, case: &Case<'_>, mut prepare: impl FnMut(), mut work: impl FnMut()) {
        if !self.wants(case.name) {
            return;
        }
        let before = self.rate(case);
        let mut times = Times::default();
        for _ in 0..self.repeats.min(3) {
            prepare();
            self.time(&mut times, &mut work);
        }
        self.print(case, &times, before.max(self.rate(case)), json!({}));
    }

    /// Prints the line of another program that did the same work; on rank 0.
    pub(crate) fn print_peer(&self, system: &str, case: &Case<'_>, seconds: f64) {
        let Case { name, n, entries, .. } = *case;
        let line = json!({"system": system, "case": name, "ranks": self.comm.size(), "n": n, "nnz": entries, "seconds_min": seconds});
        println!("{line}");
    }

    /// Prints why a case does not apply, if it was asked for.
    pub(crate) fn skip(&self, name: &str, why: &str) {
        if self.wants(name) && self.comm.rank() == 0 {
            let (matrix, ranks) = (self.matrix_name(), self.comm.size());
            println!("{}", json!({"system": "dolmen", "case": name, "matrix": matrix, "ranks": ranks, "skipped": why}));
        }
    }

    /// Times a solve and what it needs before it, if it was asked for, and prints its line.
    pub(crate) fn solve<M>(
        &self,
        case: &Case<'_>,
        mut setup: impl FnMut() -> M,
        mut solve: impl FnMut(&M) -> SolveReport,
    ) {
        if !self.wants(case.name) {
            return;
        }
        let before = self.rate(case);
        let (mut setups, mut solves) = (Times::default(), Times::default());
        let mut report = None;
        while self.wants_more(&solves, self.repeats) {
            let made = self.time(&mut setups, &mut setup);
            report = Some(self.time(&mut solves, || solve(&made)));
        }
        let rate = before.max(self.rate(case));
        let more = json!({
            "setup_seconds_min": least(&setups.wall),
            "setup_seconds_median": median(&setups.wall),
            "setup_cpu_seconds_min": least(&setups.cpu),
            "iterations": report.as_ref().map(|report| report.iterations),
            "final_rel_residual": report.as_ref().map(SolveReport::relative_residual),
        });
        self.print(case, &solves, rate, more);
    }

    fn print(&self, case: &Case<'_>, times: &Times, triad: f64, more: Value) {
        let seconds = least(&times.wall);
        let rate = case.bytes / seconds;
        let known = case.bytes > 0.0;
        let mut line = json!({
            "system": "dolmen",
            "case": case.name,
            "matrix": self.matrix_name(),
            "ranks": self.comm.size(),
            "n": case.n,
            "nnz": case.entries,
            "seconds_min": seconds,
            "seconds_median": median(&times.wall),
            "cpu_seconds_min": (!times.cpu.is_empty()).then(|| least(&times.cpu)),
            "bytes_model": case.bytes,
            "gbps": known.then_some(rate / 1e9),
            "stream_share": known.then_some(rate / triad),
        });
        if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
            line.extend(more);
        }
        if self.comm.rank() == 0 {
            println!("{line}");
        }
    }
}
