//! The way from the test process to the ranks of a job: which case is next, and when it has ended.
//!
//! Each rank reads its orders from a pipe of its own, where it sleeps between two trials. One more pipe goes
//! back: a byte in it says that the records of a rank have changed. Open MPI would bring standard input to
//! one rank only, and ranks that wait in MPI take time from those that compute.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ffi;

/// A case to run, and the folder for output and records of this trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) key: String,
    pub(crate) folder: PathBuf,
}

fn orders_path(folder: &Path, rank: usize) -> PathBuf {
    folder.join(format!("rank-{rank}.orders"))
}

fn answers_path(folder: &Path) -> PathBuf {
    folder.join("answers")
}

pub(crate) fn trial_folder(folder: &Path, number: &str) -> PathBuf {
    folder.join(format!("trial-{number}"))
}

/// The test process's ends of the pipes. Ranks have no more orders when it is dropped.
pub(crate) struct Giver {
    folder: PathBuf,
    orders: Vec<File>,
    answers: File,
    given: usize,
}

impl Giver {
    /// Makes the pipes in the folder of a job.
    pub(crate) fn new(folder: &Path, ranks: usize) -> io::Result<Giver> {
        // Opened for both directions, so that nobody waits for the other side to open them.
        let pipe = |path: PathBuf| {
            ffi::make_pipe(&path)?;
            OpenOptions::new().read(true).write(true).open(path)
        };
        let orders = (0..ranks).map(|rank| pipe(orders_path(folder, rank))).collect::<io::Result<_>>()?;
        Ok(Giver { folder: folder.to_owned(), orders, answers: pipe(answers_path(folder))?, given: 0 })
    }

    /// Lets all ranks run the case with this key; returns the folder of the trial.
    pub(crate) fn give(&mut self, key: &str) -> io::Result<PathBuf> {
        let number = self.given.to_string();
        self.given += 1;
        let folder = trial_folder(&self.folder, &number);
        std::fs::create_dir(&folder)?;
        for mut orders in &self.orders {
            orders.write_all(format!("{number} {key}\n").as_bytes())?;
        }
        Ok(folder)
    }

    /// Waits for an answer of any rank, for `timeout` at most; returns whether there was one.
    pub(crate) fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let is_there = ffi::wait_readable(&self.answers, timeout)?;
        Ok(is_there && (&self.answers).read(&mut [0; 64])? > 0)
    }
}

/// A rank's ends of the pipes.
pub(crate) struct Taker {
    folder: PathBuf,
    orders: BufReader<File>,
    answers: File,
}

impl Taker {
    pub(crate) fn new(folder: &Path, rank: usize) -> io::Result<Taker> {
        let orders = BufReader::new(File::open(orders_path(folder, rank))?);
        // Opened for both directions, so that an answer for which nobody waits any more is no error.
        let answers = OpenOptions::new().read(true).write(true).open(answers_path(folder))?;
        Ok(Taker { folder: folder.to_owned(), orders, answers })
    }

    /// Waits for the next order; none if this rank is to leave.
    pub(crate) fn take(&mut self) -> io::Result<Option<Order>> {
        let mut line = String::new();
        self.orders.read_line(&mut line)?;
        let order = line.trim_end().split_once(' ');
        Ok(order.map(|(number, key)| Order { key: key.to_owned(), folder: trial_folder(&self.folder, number) }))
    }

    /// Tells the test process to look at the records.
    pub(crate) fn answer(&mut self) -> io::Result<()> {
        self.answers.write_all(b".")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rank_has_all_orders_and_then_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut giver = Giver::new(folder.path(), 2).unwrap();
        let mut takers = [0, 1].map(|rank| Taker::new(folder.path(), rank).unwrap());
        for (number, key) in ["one", "two::same_bits"].into_iter().enumerate() {
            let given = giver.give(key).unwrap();
            assert!(given.is_dir() && given.ends_with(format!("trial-{number}")));
            for taker in &mut takers {
                assert_eq!(taker.take().unwrap(), Some(Order { key: key.to_owned(), folder: given.clone() }));
            }
        }
        assert!(!giver.wait(Duration::ZERO).unwrap());
        takers[1].answer().unwrap();
        assert!(giver.wait(Duration::from_secs(60)).unwrap());
        assert!(!giver.wait(Duration::ZERO).unwrap());
        drop(giver);
        assert_eq!(takers.map(|mut taker| taker.take().unwrap()), [None, None]);
    }
}
