//! Declarations of a test file.

use std::error::Error;
use std::time::Duration;

use dolmen_core::Comm;

/// The outcome of a case: any error fails it.
pub type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// Named bit patterns that must not depend on the number of ranks; rank 0's are compared.
pub type Checksums = Vec<(String, u64)>;

/// One named test function and how to run it; made by [`case`], [`same_bits`] and [`serial`].
#[derive(Clone)]
pub struct Case {
    pub(crate) name: &'static str,
    pub(crate) ranks: Vec<usize>,
    pub(crate) deadline: Duration,
    pub(crate) alone: bool,
    pub(crate) body: Body,
}

#[derive(Clone, Copy)]
pub(crate) enum Body {
    Ranks(fn(&Comm) -> TestResult),
    SameBits(fn(&Comm) -> TestResult<Checksums>),
    Serial(fn() -> TestResult),
}

const DEADLINE: Duration = Duration::from_secs(60);

/// A case that runs on all ranks of a job, once for each number of `ranks`, as `name::n2`.
pub fn case(name: &'static str, ranks: &[usize], function: fn(&Comm) -> TestResult) -> Case {
    Case { name, ranks: ranks.to_vec(), deadline: DEADLINE, alone: false, body: Body::Ranks(function) }
}

/// A case that runs on each number of `ranks` and passes if rank 0 reports the same checksums,
/// bit for bit, every time. It is one trial, `name::same_bits`.
pub fn same_bits(name: &'static str, ranks: &[usize], function: fn(&Comm) -> TestResult<Checksums>) -> Case {
    Case { name, ranks: ranks.to_vec(), deadline: DEADLINE, alone: false, body: Body::SameBits(function) }
}

/// A case that runs in the test process, without MPI: for tests of programs, through
/// [`Mpirun`](crate::Mpirun), whose deadlines then are the ones that count.
pub fn serial(name: &'static str, function: fn() -> TestResult) -> Case {
    Case { name, ranks: Vec::new(), deadline: DEADLINE, alone: false, body: Body::Serial(function) }
}

impl Case {
    /// Tells a [`case`] and a [`same_bits`] of the same name apart.
    pub(crate) fn key(&self) -> String {
        match self.body {
            Body::SameBits(_) => format!("{}::same_bits", self.name),
            Body::Ranks(_) | Body::Serial(_) => self.name.to_owned(),
        }
    }

    /// Ends a run on one number of ranks, as a failure, after `deadline` instead of a minute.
    ///
    /// # Panics
    /// For a [`serial`] case: only the jobs that it starts have deadlines.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Case {
        assert!(!matches!(self.body, Body::Serial(_)), "{}: a serial case has no deadline; its jobs do", self.name);
        self.deadline = deadline;
        self
    }

    /// Gives each run of the case processes of its own, and the communicator of all ranks itself. Otherwise the cases of
    /// a test file run one after the other in the same processes, with a copy of that communicator each. A case needs
    /// this if it changes or counts what belongs to a process: limits, signal handlers, allocations, the profile.
    ///
    /// # Panics
    /// For a [`serial`] case: it runs in the test process.
    #[must_use]
    pub fn alone(mut self) -> Case {
        assert!(!matches!(self.body, Body::Serial(_)), "{}: a serial case runs in the test process", self.name);
        self.alone = true;
        self
    }
}
