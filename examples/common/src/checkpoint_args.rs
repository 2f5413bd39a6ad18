//! The options about checkpoints: `--checkpoint DIR --checkpoint-every 10m --resume`.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use dolmen_core::text::shown;
use dolmen_core::{Comm, Layout, Scalar};
use dolmen_io::Result;

use crate::files::keep_inputs;
use dolmen::{Checkpointer, Resumed};

/// Time between checkpoints where none is given.
const EVERY: Duration = Duration::from_secs(600);

/// Options about checkpoints.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckpointArgs {
    /// Folder for checkpoints. SIGUSR1 writes one now; SIGTERM and SIGUSR2 write one and stop (exit code 75).
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<PathBuf>,
    /// Time between checkpoints, for example 90s, 10m or 2h [default: 10m].
    #[arg(long, value_name = "TIME", requires = "checkpoint", value_parser = duration)]
    pub checkpoint_every: Option<Duration>,
    /// Resume from the newest valid checkpoint, if any.
    #[arg(long, requires = "checkpoint")]
    pub resume: bool,
}

impl CheckpointArgs {
    /// Returns the time between checkpoints.
    pub fn every(&self) -> Duration {
        self.checkpoint_every.unwrap_or(EVERY)
    }

    /// Returns the files of checkpoints that are in the folder.
    pub fn files(&self) -> Vec<PathBuf> {
        let is_one = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().as_bytes();
            name.starts_with(b"checkpoint-") || name == b".lock"
        };
        // A folder that is not there has none.
        let entries = self.checkpoint.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        entries.map(|entry| entry.path()).filter(is_one).collect()
    }

    /// Opens the folder as [`Checkpointer::new`] does, and with `--resume` loads the newest checkpoint as
    /// [`Checkpointer::resume`] does; `tell` is called with a description of what was found.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The folder cannot be used, one of `inputs` has a name of a checkpoint in it, or what it holds cannot be
    /// resumed; or it holds checkpoints, and none is to be resumed.
    pub fn open<'m, T: Scalar>(
        &self,
        comm: &Comm,
        folder: &Path,
        config: &str,
        inputs: &[&Path],
        layouts: &[&Layout],
        tell: impl Fn(&str),
    ) -> Result<(Checkpointer<'m, T>, Option<Resumed<T>>)> {
        keep_inputs(comm, inputs, &self.files())?;
        let mut checkpointer = Checkpointer::new(comm, folder, self.every(), config)?;
        if !self.resume {
            checkpointer.require_empty()?;
            return Ok((checkpointer, None));
        }
        let resumed = checkpointer.resume(layouts)?;
        match &resumed {
            Some(resumed) => tell(&resumed.describe()),
            None => tell(&format!("no checkpoint in {}: starting from the beginning", shown(folder))),
        }
        Ok((checkpointer, resumed))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("expected a number followed by s, m or h, for example 10m".into()),
    };
    let number: f64 = digits.parse().map_err(|_| format!("{digits:?} is not a number"))?;
    Duration::try_from_secs_f64(number * factor).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(EVERY));
        assert_eq!(duration("0.5h"), Ok(Duration::from_secs(1800)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "10", "m", "-1s", "1d", "infs", "1e300h", "10 m"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
