//! Monitors of all ranks meet when every one of them wants to, and hear of the end.

use dolmen_core::{MultiVector, Vector};
use dolmen_solvers::{BlockCg, Cg, Error, Method, Monitor, Progress, Request, Result, Settings};
use dolmen_tests::{Comm, TestResult};

use crate::endings::solve;
use crate::stencil::{grid, ones};

/// Wants to meet from an iteration on.
struct Member {
    from: usize,
    iteration: usize,
    met: Vec<usize>,
    ended: Vec<usize>,
}

impl Member {
    fn new(from: usize) -> Self {
        Member { from, iteration: 0, met: Vec::new(), ended: Vec::new() }
    }
}

impl Monitor<f64> for Member {
    fn progress(&mut self, progress: &Progress) -> Request {
        self.iteration = progress.iteration;
        if progress.iteration >= self.from { Request::Meet } else { Request::Continue }
    }

    fn meet(&mut self) -> Result<()> {
        self.met.push(self.iteration);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.ended.push(self.iteration);
        Ok(())
    }
}

pub(crate) fn when_all_want_to(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 12)?;
    let b = ones(&layout);
    let watched = |name: Method, from: usize| -> TestResult<(Member, usize)> {
        let mut member = Member::new(from);
        let settings = Settings::new().rtol(1e-12).max_iterations(20).monitor(&mut member);
        let last = solve(name, settings, &a, &b, &mut Vector::zeros(&layout))?.iterations;
        Ok((member, last))
    };
    for &name in Method::SQUARE {
        // The last rank is the last that wants to.
        let (member, last) = watched(name, 2 * comm.rank())?;
        let expected: Vec<usize> = (2 * comm.size() - 1..=last).collect();
        assert_eq!((member.met, member.ended), (expected, vec![last]), "{name}");
        // One that never wants to keeps the others from it.
        let (member, last) = watched(name, if comm.rank() + 1 == comm.size() { usize::MAX } else { 0 })?;
        assert_eq!((member.met, member.ended), (vec![], vec![last]), "{name}");
    }
    Ok(())
}

pub(crate) fn of_blocks(comm: &Comm) -> TestResult {
    let (layout, a) = grid(comm, 12)?;
    let b = MultiVector::from_fn(&layout, 2, |i, j| 1.0 + (i % (3 + j as u64)) as f64);
    let mut member = Member::new(2 * comm.rank());
    let reports = BlockCg::new().monitor(&mut member).solve(&a, &b, &mut MultiVector::zeros(&layout, 2))?;
    let last = reports[0].iterations;
    let expected: Vec<usize> = (2 * comm.size() - 1..=last).collect();
    assert_eq!((member.met, member.ended), (expected, vec![last]));
    Ok(())
}

pub(crate) fn failed(comm: &Comm) -> TestResult {
    struct Failing<'c>(&'c Comm);
    impl Monitor<f64> for Failing<'_> {
        fn progress(&mut self, _: &Progress) -> Request {
            Request::Meet
        }

        fn meet(&mut self) -> Result<()> {
            let what = "the cellar is full".to_owned();
            let error = dolmen_core::Error::Agreed { rank: 0, everywhere: true, message: what };
            if self.0.rank() + 1 == self.0.size() { Err(Error::Core(error)) } else { Ok(()) }
        }
    }
    let (layout, a) = grid(comm, 12)?;
    let mut failing = Failing(comm);
    let solved = Cg::new().monitor(&mut failing).solve(&a, &ones(&layout), &mut Vector::zeros(&layout));
    let error = solved.expect_err("it failed").to_string();
    assert!(error.contains("the cellar is full"), "{error}");
    Ok(())
}
