//! Calls of the user's function: agreed on over the ranks, and counted.

use std::cell::Cell;

use dolmen_core::{Layout, Scalar, Vector, profile};

use crate::error::Result;
use crate::krylov::problem::require_same;

/// A function `f(x, y)` that computes `y = F(x)`, on all ranks together.
pub(super) type Function<'a, T> = &'a dyn Fn(&Vector<T>, &mut Vector<T>) -> dolmen_core::Result<()>;

/// The function of a solve.
pub(super) struct Evaluation<'a, T: Scalar> {
    function: Function<'a, T>,
    pub(super) layout: Layout,
    count: Cell<usize>,
}

impl<'a, T: Scalar> Evaluation<'a, T> {
    pub(super) fn new(function: Function<'a, T>, layout: &Layout) -> Evaluation<'a, T> {
        Evaluation { function, layout: layout.clone(), count: Cell::new(0) }
    }

    /// Computes `y = F(x)` and returns its norm.
    ///
    /// # Collective
    /// A reduction of two words, in which the ranks agree, and one for the norm.
    pub(super) fn evaluate(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<f64> {
        self.apply(x, y)?;
        Ok(y.try_norm2()?)
    }

    /// Computes `y = F(x)`.
    ///
    /// # Collective
    /// A reduction of two words, in which the ranks agree.
    pub(super) fn apply(&self, x: &Vector<T>, y: &mut Vector<T>) -> dolmen_core::Result<()> {
        let _event = profile::event("SNESFunctionEval");
        self.count.set(self.count.get() + 1);
        let done = (self.function)(x, y);
        self.layout.comm().agree(done)
    }

    /// Returns the number of evaluations so far.
    pub(super) fn count(&self) -> usize {
        self.count.get()
    }

    /// Refuses a vector or an operator that is not on the layout of the unknowns.
    pub(super) fn require_same(&self, method: &'static str, what: &'static str, found: &Layout) -> Result<()> {
        require_same(method, what, &self.layout, found)
    }
}
