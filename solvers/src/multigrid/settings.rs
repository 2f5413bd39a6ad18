//! Settings of multigrid.

use crate::error::Result;
use crate::multigrid::METHOD;
use crate::settings::require;

/// The way through the levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cycle {
    /// Each level once down and once up.
    #[default]
    V,
    /// From each level twice to the next: dearer, and less sensitive to coarse levels that are poor.
    W,
}

impl Cycle {
    /// Visits of the next level in one of a level.
    pub(super) const fn visits(self) -> usize {
        match self {
            Cycle::V => 1,
            Cycle::W => 2,
        }
    }
}

/// Settings of [`Multigrid`](crate::Multigrid).
#[derive(Clone, Debug, PartialEq)]
pub struct MultigridSettings {
    /// Unknowns of a node, in rows that follow each other, 1 by default: the displacements of elasticity, for instance. All
    /// of a node are in one aggregate. It divides the number of rows; ranks may divide nodes.
    pub block: usize,
    /// Products of a smoother before and after the coarser level, 2 by default: 3 or 4 make fewer and dearer iterations.
    pub degree: usize,
    /// Relative size from which on entries off the diagonal tie unknowns together, 0.02 by default; half of it on each
    /// further level. Zero takes all of them.
    pub threshold: f64,
    /// The way through the levels.
    pub cycle: Cycle,
    /// Rows of the coarsest level, at most, 200 by default. It is inverted as a dense matrix, on one rank while the others
    /// wait: at 500 rows in about 0.1 s, at 1000 in 0.3 s, at 2000 in 2 s (one core, OpenBLAS). A cycle then costs a
    /// product with that matrix.
    pub coarsest: usize,
    /// Levels, at most, 30 by default.
    pub levels: usize,
}

impl Default for MultigridSettings {
    fn default() -> MultigridSettings {
        MultigridSettings { block: 1, degree: 2, threshold: 0.02, cycle: Cycle::V, coarsest: 200, levels: 30 }
    }
}

/// Rows of a dense matrix that one rank inverts in a few seconds.
const LARGEST_DENSE: usize = 2000;

impl MultigridSettings {
    /// Refuses settings out of range.
    pub(crate) fn check(&self) -> Result<()> {
        let MultigridSettings { block, degree, threshold, coarsest, levels, .. } = *self;
        require(METHOD, "block", block as f64, block > 0, "one or more")?;
        require(METHOD, "degree", degree as f64, degree > 0, "one or more")?;
        require(METHOD, "threshold", threshold, (0.0..1.0).contains(&threshold), "at least zero and below one")?;
        let dense = (1..=LARGEST_DENSE).contains(&coarsest);
        require(METHOD, "coarsest", coarsest as f64, dense, "from 1 to 2000")?;
        require(METHOD, "levels", levels as f64, levels > 0, "one or more")
    }
}
