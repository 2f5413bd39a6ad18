//! Events while a profile runs.

use dolmen_core::profile::{self, Profile};
use dolmen_core::{Comm, CsrMatrix, Layout, LinearOperator, Vector};
use dolmen_tests::TestResult;

use crate::check;

pub(crate) fn events(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 200);
    let a = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
        [0, 1, 100].into_iter().for_each(|step| entries.push((row + step) % 200, 1.0));
    })?;
    let x = Vector::<f64>::from_fn(&layout, |row| row as f64);
    let mut y = Vector::zeros(&layout);
    let profile = Profile::with_trace_limit(comm, 1000)?;
    check("recording", || {
        for _ in 0..50 {
            let _event = profile::event("Step").flops(1).bytes(2).messages(3, 4);
            a.apply(&x, &mut y)?;
            y.dot(&x)?;
        }
        Ok(())
    })?;
    assert_eq!(profile.finish().0.events()[1].count, 100);
    Ok(())
}
