//! A system as it was given, and what of it is solved: all, or what is left without empty rows and columns.

use std::borrow::Cow;

use dolmen_core::{CsrMatrix, Scalar, Vector};

use crate::automatic::reduced::Reduced;
use crate::error::Result;

/// A system and the part of it that is solved.
pub(super) struct System<'s, T: Scalar> {
    pub(super) a: &'s CsrMatrix<T>,
    pub(super) b: &'s Vector<T>,
    /// `|b|`.
    pub(super) size: f64,
    /// The norm of a residual that is small enough.
    pub(super) target: f64,
    /// Rows in which `A` is zero and `b` is not.
    pub(super) unsolvable_rows: u64,
    /// Factor for the tolerances of the rest, so that they are met together with the entries of `b` in empty rows.
    pub(super) share: f64,
    rest: Option<(&'s Reduced<T>, Vector<T>)>,
}

impl<'s, T: Scalar> System<'s, T> {
    /// `target` is the requested residual norm, given that of `b`.
    ///
    /// # Collective
    pub(super) fn new(
        a: &'s CsrMatrix<T>,
        b: &'s Vector<T>,
        reduced: Option<&'s Reduced<T>>,
        target: impl Fn(f64) -> f64,
    ) -> Result<System<'s, T>> {
        let size = b.norm2();
        let whole = System { a, b, size, target: target(size), unsolvable_rows: 0, share: 1.0, rest: None };
        let Some(reduced) = reduced else { return Ok(whole) };
        let (unsolvable_rows, left_out) = reduced.left_out(b)?;
        let ratio = left_out / whole.target;
        // Where the tolerance cannot be met, the rest is solved to it all the same.
        let share = if ratio < 1.0 { (1.0 - ratio * ratio).sqrt() } else { 1.0 };
        let rest = Some((reduced, reduced.right_hand_side(b)?));
        Ok(System { unsolvable_rows, share, rest, ..whole })
    }

    /// Returns the part without empty rows and columns, if there are any.
    pub(super) fn reduced(&self) -> Option<&'s Reduced<T>> {
        self.rest.as_ref().map(|(reduced, _)| *reduced)
    }

    /// Returns the matrix and the right-hand side that are solved.
    pub(super) fn solved(&self) -> (&CsrMatrix<T>, &Vector<T>) {
        self.rest.as_ref().map_or((self.a, self.b), |(reduced, b)| (&reduced.matrix, b))
    }

    /// Returns the unknowns that are solved for.
    pub(super) fn unknowns<'x>(&self, x: &'x Vector<T>) -> Result<Cow<'x, Vector<T>>> {
        self.reduced().map_or(Ok(Cow::Borrowed(x)), |reduced| Ok(Cow::Owned(reduced.solution(x)?)))
    }
}
