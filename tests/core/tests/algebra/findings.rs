//! Findings of a rank. Nothing returns early, or the ranks would lose their step.

use dolmen_core::{CsrMatrix, Gid, LinearOperator, Scalar};

use crate::dense::Dense;

#[derive(Default)]
pub(crate) struct Findings(Vec<String>);

impl Findings {
    pub(crate) fn require<V: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: V, expected: V) {
        if found != expected {
            self.0.push(format!("{what}: {found:?} instead of {expected:?}"));
        }
    }

    /// Rows with their patterns and values, and the ghosts: no more than the rows name.
    pub(crate) fn matrix<T: Scalar>(&mut self, what: &str, found: &CsrMatrix<T>, expected: &Dense<T>) {
        let at = |index| usize::try_from(index).expect("a small matrix");
        let shape = (found.range().global_len(), found.domain().global_len());
        self.require(what, shape, (expected.rows.len() as u64, expected.columns as u64));
        self.require(what, found.global_entries(), expected.stored());
        let mut ghosts = Vec::new();
        for row in found.rows() {
            let expected = (0..).zip(&expected.rows[at(row.index())]);
            let expected: Vec<(Gid, T)> = expected.filter_map(|(column, value)| Some((column, (*value)?))).collect();
            ghosts.extend(expected.iter().map(|entry| entry.0).filter(|j| !found.domain().range().contains(j)));
            self.require(what, row.entries().collect(), expected);
        }
        ghosts.sort_unstable();
        ghosts.dedup();
        self.require(what, found.ghost_columns(), &ghosts);
    }

    pub(crate) fn outcome(self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0.join("; ")) }
    }
}
