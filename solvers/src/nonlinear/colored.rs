//! Jacobians by differences, many columns at once (Curtis, Powell and Reid, J. Inst. Maths Applics 13 (1974) 117).
//!
//! Columns without a row in common get one color, and all columns of a color are moved together: as many evaluations as
//! colors, whatever the number of unknowns. Colors are those of a distance-2 coloring of the pattern, the same on any
//! number of ranks, and so are the differences.

use std::ops::Range;

use dolmen_core::index::at;
use dolmen_core::{
    CsrMatrix, Duplicates, ExchangePlan, Graph, IndexMap, Lid, LinearOperator, Real, RefillPlan, Scalar, Vector,
};

use crate::error::Result;
use crate::nonlinear::evaluation::{Evaluation, Function};
use crate::nonlinear::settings::epsilon;

/// Plan that computes the Jacobian of a function, of a known pattern, by `(F(x + h) - F(x)) / h` for each color.
///
/// The step of unknown `j` is `eps^(1/2)` times the larger of `|x[j]|` and the root mean square of `x`, or one if `x` is
/// zero. For complex numbers the function has to be analytic.
pub struct ColoredDifferences<T: Scalar> {
    pattern: CsrMatrix<T>,
    refill: RefillPlan,
    /// Colors of the owned columns.
    colors: Vec<Lid>,
    /// Imports what belongs to columns of other ranks.
    ghosts: ExchangePlan,
    /// Stored entries by color: the local row, the local column, and the place among all.
    entries: Vec<(usize, usize, usize)>,
    /// Entries of each color.
    spans: Vec<Range<usize>>,
}

impl<T: Scalar> ColoredDifferences<T> {
    /// Colors the pattern of a square matrix, whose values do not matter. It has to hold all places where the Jacobian is
    /// not zero.
    ///
    /// # Collective
    /// As [`Graph::distance2_coloring`], and two plans.
    ///
    /// # Errors
    /// As [`Graph::from_matrix`] and [`Graph::distance2_coloring`].
    pub fn new(pattern: &CsrMatrix<T>) -> Result<ColoredDifferences<T>> {
        let coloring = Graph::from_matrix(pattern)?.distance2_coloring()?;
        let domain = pattern.domain();
        let map = domain.comm().agree(IndexMap::new(pattern.ghost_columns().to_vec()))?;
        let ghosts = ExchangePlan::new(domain, &map)?;
        let mut all_colors = coloring.colors().to_vec();
        all_colors.extend_from_slice(&ghosts.start_import(coloring.colors(), 1).finish());
        let number = |column: u64| match domain.global_to_owned(column) {
            Some(position) => position,
            None => domain.local_len() + at(map.global_to_local(column).expect("invariant: ghosts are mapped")),
        };
        let (mut places, mut colored) = (Vec::new(), Vec::new());
        for (row, stored) in pattern.rows().enumerate() {
            for column in stored.columns() {
                let number = number(column);
                colored.push((all_colors[number], (row, number, places.len())));
                places.push((stored.index(), column));
            }
        }
        // Stable: entries of a color stay in the order of rows.
        colored.sort_by_key(|&(color, _)| color);
        let end = |color: usize| colored.partition_point(|&(other, _)| at(other) < color);
        let spans = (0..coloring.count()).map(|color| end(color)..end(color + 1)).collect();
        let entries = colored.iter().map(|&(_, entry)| entry).collect();
        let refill = pattern.plan_refill(places, Duplicates::Insert)?;
        let colors = coloring.colors().to_vec();
        Ok(ColoredDifferences { pattern: pattern.clone(), refill, colors, ghosts, entries, spans })
    }

    /// Returns the number of colors, which is that of evaluations beside `F(x)`.
    pub fn colors(&self) -> usize {
        self.spans.len()
    }

    /// Computes the Jacobian of `function` at `x`: to compare with one that a program computes, for instance.
    ///
    /// # Collective
    /// One evaluation, and one for each color.
    ///
    /// # Errors
    /// An error of the function on any rank; mismatched layouts.
    pub fn compute(&self, function: Function<'_, T>, x: &Vector<T>) -> Result<CsrMatrix<T>> {
        let evaluation = Evaluation::new(function, self.pattern.domain());
        evaluation.require_same("colored differences", "point", x.layout())?;
        let mut f = Vector::zeros(x.layout());
        evaluation.apply(x, &mut f)?;
        let mut jacobian = self.pattern.clone();
        self.fill(&evaluation, x, &f, &mut jacobian)?;
        Ok(jacobian)
    }

    /// Returns the matrix of the pattern.
    pub(super) fn pattern(&self) -> &CsrMatrix<T> {
        &self.pattern
    }

    /// Fills a matrix that shares the pattern with the Jacobian at `x`, where the function is `f`.
    ///
    /// # Collective
    pub(super) fn fill(
        &self,
        evaluation: &Evaluation<'_, T>,
        x: &Vector<T>,
        f: &Vector<T>,
        jacobian: &mut CsrMatrix<T>,
    ) -> dolmen_core::Result<()> {
        let steps = steps(x);
        let ghosts = self.ghosts.start_import(&steps, 1).finish().to_vec();
        let mut values = vec![T::ZERO; self.entries.len()];
        let (mut moved, mut y) = (x.clone(), Vector::zeros(x.layout()));
        for (color, span) in (0..).zip(&self.spans) {
            moved.copy_from(x)?;
            for ((entry, &step), _) in
                moved.owned_mut().iter_mut().zip(&steps).zip(&self.colors).filter(|(_, other)| **other == color)
            {
                *entry += step;
            }
            evaluation.apply(&moved, &mut y)?;
            for &(row, column, place) in &self.entries[span.clone()] {
                let step = if column < steps.len() { steps[column] } else { ghosts[column - steps.len()] };
                values[place] = (y.owned()[row] - f.owned()[row]) / step;
            }
        }
        jacobian.refill(&self.refill, &values)
    }
}

/// Returns the steps of the owned unknowns: differences of numbers, so that `x + h` is exact.
///
/// # Collective
fn steps<T: Scalar>(x: &Vector<T>) -> Vec<T> {
    let size = x.norm2() / (x.global_len().max(1) as f64).sqrt();
    let least = if size > 0.0 && size.is_finite() { size } else { 1.0 };
    let relative = epsilon::<T>().sqrt();
    let step = |&x: &T| {
        let step = T::from_parts(relative * x.abs().to_f64().max(least), 0.0);
        (x + step) - x
    };
    x.owned().iter().map(step).collect()
}
