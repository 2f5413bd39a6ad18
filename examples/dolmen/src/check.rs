//! `dolmen check`: what this machine has, and which of it is a problem.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use dolmen_common::command_line::say;
use dolmen_core::environment::{ThreadLevel, blas_library, cpu_features, mpi_library};
use dolmen_core::text::shown;
use dolmen_core::{Comm, Layout, Vector};
use dolmen_io::hdf5::{self, H5File};

use crate::error::Result;

/// Of the file that is written on trial.
const ENTRIES: u64 = 1000;

#[derive(clap::Args)]
pub(crate) struct Check {
    /// Folder for a test file that all ranks write and read together.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

/// A line of the answer.
struct Fact {
    name: &'static str,
    value: String,
    /// Fault, and remedy.
    problem: Option<String>,
}

impl Check {
    pub(crate) fn run(&self, comm: &Comm) -> Result<ExitCode> {
        let facts = [ranks(comm), mpi(), hdf5(comm, &self.folder), blas(comm), processor(), python(comm)];
        let width = facts.iter().map(|fact| fact.name.len()).max().unwrap_or_default();
        let mut problems = Vec::new();
        for Fact { name, value, problem } in &facts {
            say(comm, &format!("{name:<width$}  {value}"));
            problems.extend(problem.as_ref().map(|problem| format!("{name}: {problem}")));
        }
        // The facts of rank 0 are shown, and all ranks leave with its verdict.
        let mut count = vec![problems.len() as u64];
        comm.broadcast(0, &mut count);
        if count[0] == 0 {
            say(comm, "OK.");
            return Ok(ExitCode::SUCCESS);
        }
        problems.iter().for_each(|problem| say(comm, &format!("problem: {problem}")));
        Ok(ExitCode::FAILURE)
    }
}

fn ranks(comm: &Comm) -> Fact {
    let node = comm.split_shared();
    let mut most = [node.size() as u64];
    comm.all_reduce_max(&mut most);
    let mut nodes = [u64::from(node.rank() == 0)];
    comm.all_reduce_sum(&mut nodes);
    let cores = cores();
    let mut value = format!("{} on {} nodes, at most {} a node", comm.size(), nodes[0], most[0]);
    if let Some(cores) = cores {
        value += &format!("; {cores} cores on this node");
    }
    let crowded = cores.filter(|cores| most[0] > *cores).map(|cores| {
        format!("{} ranks share {cores} cores of a node, so every wait is long; start fewer ranks", most[0])
    });
    Fact { name: "ranks", value, problem: crowded }
}

/// Cores of this node, also those that this rank is not bound to, where the system tells.
fn cores() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    Some(text.lines().filter(|line| line.starts_with("processor")).count() as u64).filter(|cores| *cores > 0)
}

fn mpi() -> Fact {
    let mpi = mpi_library();
    let first = mpi.description.split([',', '\n', '\0']).next().unwrap_or_default();
    let vendor: Vec<&str> = first.split_whitespace().collect();
    let (version, subversion) = mpi.standard;
    let problem = if mpi.thread_level < ThreadLevel::Funneled {
        Some(format!("{} is too little; use a library with MPI_THREAD_FUNNELED", mpi.thread_level.name()))
    } else {
        (version < 3).then(|| "the library is older than MPI 3; use a newer one".to_owned())
    };
    let value = format!("{}; MPI {version}.{subversion}, {}", vendor.join(" "), mpi.thread_level.name());
    Fact { name: "MPI", value, problem }
}

/// Checks that all ranks can write one file together and read it again.
fn hdf5(comm: &Comm, folder: &Path) -> Fact {
    let (major, minor, patch) = hdf5::library_version();
    let path = folder.join(".dolmen-check.h5");
    let tried = trial(comm, &path);
    if comm.rank() == 0 {
        // A trial that failed has left nothing.
        let _ = std::fs::remove_file(&path);
    }
    let outcome = if tried.is_ok() { "parallel: a file was written and read" } else { "parallel: no file was written" };
    Fact {
        name: "HDF5",
        value: format!("{major}.{minor}.{patch}; {outcome} by {} ranks in {}", comm.size(), shown(folder)),
        problem: tried.err().map(|error| format!("{error}; try another folder (--folder), or another HDF5")),
    }
}

fn trial(comm: &Comm, path: &Path) -> Result<()> {
    let layout = Layout::uniform(comm, ENTRIES);
    let written = Vector::from_fn(&layout, |row| row as f64);
    let file = H5File::create(comm, path)?;
    file.write_vector("x", &written, &hdf5::Layout::Contiguous)?;
    file.close()?;
    let file = H5File::open(comm, path)?;
    let read = file.read_vector::<f64>("x", &layout)?;
    file.close()?;
    let same = if read.owned() == written.owned() { Ok(()) } else { Err("the data read differ from the data written") };
    Ok(comm.agree(same)?)
}

fn blas(comm: &Comm) -> Fact {
    let blas = blas_library();
    let words: Vec<&str> = blas.description.split_whitespace().take(2).collect();
    let threads = blas.threads;
    let crowded = cores().filter(|cores| threads > 1 && (threads * comm.size()) as u64 > *cores);
    Fact {
        name: "BLAS",
        value: format!("{}, kernels for {}, threads a rank: {threads}", words.join(" "), blas.core),
        problem: crowded
            .map(|_| format!("{threads} threads on each of {} ranks; set OPENBLAS_NUM_THREADS=1", comm.size())),
    }
}

fn processor() -> Fact {
    let features = cpu_features();
    let known = if features.is_empty() { "none that the kernels use".to_owned() } else { features.join(", ") };
    Fact { name: "vector instructions", value: known, problem: None }
}

/// Returns the Python module, where the interpreter of the environment has it. It is optional.
fn python(comm: &Comm) -> Fact {
    let found = (comm.rank() == 0).then(|| {
        let script = "import dolmen, sys; print(dolmen.__version__, 'for', sys.executable)";
        let output = Command::new("python3").args(["-c", script]).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    });
    let value = found.flatten().unwrap_or_else(|| "not found by python3 (optional)".to_owned());
    Fact { name: "Python module", value, problem: None }
}
