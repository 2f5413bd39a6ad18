//! The program that is killed.

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use dolmen::{Checkpointer, Resumed};
use dolmen_core::{Comm, Vector};
use dolmen_solvers::Cg;
use dolmen_tests::TestResult;

use crate::problem::problem;

/// Names the folder of checkpoints to a process that is to be the program.
pub(crate) const FOLDER: &str = "DOLMEN_CRASH_FOLDER";
/// Has the program save after every iteration.
pub(crate) const SAVE: &str = "DOLMEN_CRASH_SAVE";
/// Ranks that solve together.
pub(crate) const GROUP: usize = 2;
/// The grid's points along a side: the solve takes several hundred iterations.
const SIDE: u64 = 150;

pub(crate) fn run(folder: &Path) -> ExitCode {
    Comm::run(|world| -> TestResult<ExitCode> {
        let group = world.rank() / GROUP;
        let comm = world.split(Some(u32::try_from(group)?), world.rank())?.ok_or("no group")?;
        let say = |text: &str| say(&comm, group, text);
        let (matrix, jacobi, rhs) = problem(&comm, SIDE)?;
        let every = if env::var_os(SAVE).is_some() { Duration::ZERO } else { Duration::from_secs(3600) };
        let mut saver = Checkpointer::new(&comm, &folder.join(group.to_string()), every, "crash")?;
        let resumed = saver.resume(&[rhs.layout()])?;
        let mut x = Vector::zeros(rhs.layout());
        let mut cg = Cg::new().rtol(1e-10).preconditioner(&jacobi);
        if let Some(Resumed { snapshot, path, skipped }) = &resumed {
            let number = path.file_stem().unwrap_or_default().to_string_lossy().replace("checkpoint-", "");
            say(&format!("resumed {number}"));
            skipped.iter().for_each(|skipped| say(&format!("skipped {skipped:?}")));
            cg = cg.resume(snapshot);
        }
        let report = cg.monitor(&mut saver).solve(&matrix, &rhs, &mut x)?.require_converged()?;
        let history = report.history.iter().map(|residual| residual.to_bits());
        let entries = comm.gather(0, x.owned()).into_iter().flatten().flatten().map(f64::to_bits);
        // FNV-1a over the history and the solution.
        let hash = |hash: u64, bits: u64| (hash ^ bits).wrapping_mul(0x0100_0000_01b3);
        let bits = history.chain(entries).fold(0xcbf2_9ce4_8422_2325, hash);
        say(&format!("{} iterations", report.iterations));
        say(&format!("bits {bits}"));
        Ok(ExitCode::SUCCESS)
    })
}

fn say(comm: &Comm, group: usize, text: &str) {
    if comm.rank() == 0 {
        println!("{group}: {text}");
    }
}
