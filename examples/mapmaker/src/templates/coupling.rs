//! The preconditioner of the system with templates.
//!
//! Block elimination of the offsets. With `H` the offsets' own part, `F^T W F + C_a^-1`, `P` its preconditioner, `B = F^T W T`
//! and `W = P B`, the columns `T - F W` are what is left of the templates, and
//!
//! ```text
//!     [ P + W S^-1 W^T   -W S^-1 ]        S = T^T W T - B^T W - W^T B + W^T H W,
//!     [    -S^-1 W^T        S^-1 ],
//! ```
//!
//! is the inverse of the system without its part of the sky, if `P` is that of `H`. `S` has a dense block for each group, and
//! is positive semidefinite whatever `P` is: it is the energy of `T - F W`, and that of `W` in the prior.
//!
//! A template of which nothing is left beside the offsets and the templates before it, up to rounding, is taken out of the
//! system: its pivot in the Cholesky factorization of `S` is at most [`DEPENDENT`] times its own energy.

use std::cell::RefCell;

use dolmen_core::{Combine, Layout, LinearOperator, Result as CoreResult, Vector};

use super::Templates;
use crate::error::Result;

/// Part of a template's energy below which it is held by offsets and the templates before it.
const DEPENDENT: f64 = 1e-10;

/// The part of each group's templates that offsets leave.
pub(crate) struct Coupling {
    /// `P F^T W T`: of each baseline of this rank's groups a value for each template.
    follow: Vec<f64>,
    /// Of each group the lower Cholesky factor of `S`, by rows; zero in rows and columns that are left out.
    factors: Vec<f64>,
    /// True for each amplitude that is determined.
    pub(crate) determined: Vec<bool>,
}

impl Coupling {
    /// Takes the offsets' part out of the templates; `preconditioner` is that of the offsets alone, and `own` adds the
    /// product with their own part of the system.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The preconditioner fails.
    pub(crate) fn new(
        templates: &Templates,
        preconditioner: &dyn LinearOperator<f64>,
        own: impl Fn(&Vector<f64>, &mut Vector<f64>),
    ) -> Result<Coupling> {
        let (groups, columns) = (&templates.groups, templates.columns);
        let [mut column, mut followed, mut energy] = [(); 3].map(|()| Vector::zeros(preconditioner.domain()));
        let mut copies = vec![0.0; groups.plan.copies_len()];
        let mut follow = vec![0.0; groups.baselines() * columns];
        let mut energies = vec![0.0; groups.baselines() * columns];
        for k in 0..columns {
            templates.for_each_baseline(|position, row| copies[position] = templates.offsets[row * columns + k]);
            column.fill(0.0);
            groups.plan.start_export(&copies, 1).finish(Combine::Add, column.owned_mut());
            preconditioner.apply(&column, &mut followed)?;
            energy.fill(0.0);
            own(&followed, &mut energy);
            for (vector, values) in [(&followed, &mut follow), (&energy, &mut energies)] {
                let imported = groups.plan.start_import(vector.owned(), 1).finish();
                templates.for_each_baseline(|position, row| values[row * columns + k] = imported[position]);
            }
        }
        let mut coupling = Coupling { follow, factors: Vec::new(), determined: Vec::new() };
        for group in 0..groups.owned.len() {
            let left = coupling.left(templates, group, &energies);
            let (factor, determined) = factor(&left, templates.products_of(group), columns);
            coupling.factors.extend(factor);
            coupling.determined.extend(determined);
        }
        Ok(coupling)
    }

    /// Computes `S` of a group.
    fn left(&self, templates: &Templates, group: usize, energies: &[f64]) -> Vec<f64> {
        let columns = templates.columns;
        let mut left = templates.products_of(group).to_vec();
        let (positions, first) = templates.groups.of(group);
        for row in first..first + positions.len() {
            let all = [&templates.offsets[..], &self.follow, energies];
            let [b, w, e] = all.map(|values| &values[row * columns..][..columns]);
            for i in 0..columns {
                for j in 0..columns {
                    left[i * columns + j] += 0.5 * (w[i] * e[j] + w[j] * e[i]) - b[i] * w[j] - w[i] * b[j];
                }
            }
        }
        left
    }
}

/// Returns the lower Cholesky factor of a matrix, by rows, without the rows and columns of templates that depend on those
/// before; `own` has the energy of each template on its diagonal. True for each template that is not left out.
fn factor(matrix: &[f64], own: &[f64], columns: usize) -> (Vec<f64>, Vec<bool>) {
    let mut l = vec![0.0; columns * columns];
    let mut determined = vec![false; columns];
    for i in 0..columns {
        for j in (0..i).filter(|&j| determined[j]) {
            let known: f64 = (0..j).map(|k| l[i * columns + k] * l[j * columns + k]).sum();
            l[i * columns + j] = (matrix[i * columns + j] - known) / l[j * columns + j];
        }
        let pivot = matrix[i * columns + i] - (0..i).map(|k| l[i * columns + k].powi(2)).sum::<f64>();
        if pivot > DEPENDENT * own[i * columns + i] {
            l[i * columns + i] = pivot.sqrt();
            determined[i] = true;
        } else {
            l[i * columns..][..columns].fill(0.0);
        }
    }
    (l, determined)
}

/// Solves with a factor in place; what is left out is zero.
fn solve(l: &[f64], x: &mut [f64]) {
    let n = x.len();
    for i in 0..n {
        let pivot = l[i * n + i];
        let known: f64 = (0..i).map(|k| l[i * n + k] * x[k]).sum();
        x[i] = if pivot > 0.0 { (x[i] - known) / pivot } else { 0.0 };
    }
    for i in (0..n).rev() {
        let pivot = l[i * n + i];
        let known: f64 = (i + 1..n).map(|k| l[k * n + i] * x[k]).sum();
        x[i] = if pivot > 0.0 { (x[i] - known) / pivot } else { 0.0 };
    }
}

/// The preconditioner for all unknowns.
pub(crate) struct Coupled<'c> {
    templates: &'c Templates,
    coupling: &'c Coupling,
    offsets: &'c dyn LinearOperator<f64>,
    work: RefCell<Work>,
}

struct Work {
    offsets: Vector<f64>,
    result: Vector<f64>,
    amplitudes: Vec<f64>,
    copies: Vec<f64>,
}

impl<'c> Coupled<'c> {
    /// Creates the preconditioner from that of the offsets.
    pub(crate) fn new(templates: &'c Templates, coupling: &'c Coupling, offsets: &'c dyn LinearOperator<f64>) -> Self {
        let [first, result] = [(); 2].map(|()| Vector::zeros(offsets.domain()));
        let amplitudes = vec![0.0; templates.amplitudes().local_len()];
        let copies = vec![0.0; templates.groups.plan.copies_len()];
        let work = RefCell::new(Work { offsets: first, result, amplitudes, copies });
        Coupled { templates, coupling, offsets, work }
    }
}

impl LinearOperator<f64> for Coupled<'_> {
    fn domain(&self) -> &Layout {
        &self.templates.unknowns.layout
    }

    fn range(&self) -> &Layout {
        &self.templates.unknowns.layout
    }

    fn compute(&self, x: &Vector<f64>, y: &mut Vector<f64>) -> CoreResult<()> {
        let Work { offsets, result, amplitudes, copies } = &mut *self.work.borrow_mut();
        let Templates { groups, unknowns, columns, .. } = self.templates;
        let columns = *columns;
        unknowns.split(x.owned(), offsets.owned_mut(), amplitudes);
        self.offsets.apply(offsets, result)?;
        let imported = groups.plan.start_import(offsets.owned(), 1).finish();
        for (group, amplitudes) in amplitudes.chunks_exact_mut(columns).enumerate() {
            let (positions, first) = groups.of(group);
            let rows = || positions.iter().zip(self.coupling.follow[first * columns..].chunks_exact(columns));
            for (&position, follow) in rows() {
                amplitudes.iter_mut().zip(follow).for_each(|(sum, follow)| *sum -= follow * imported[position]);
            }
            solve(&self.coupling.factors[group * columns * columns..][..columns * columns], amplitudes);
            for (&position, follow) in rows() {
                copies[position] = -follow.iter().zip(&*amplitudes).map(|(follow, value)| follow * value).sum::<f64>();
            }
        }
        drop(imported);
        groups.plan.start_export(copies, 1).finish(Combine::Add, result.owned_mut());
        unknowns.join(result.owned(), amplitudes, y.owned_mut());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependent_templates_are_left_out() {
        // The third is the sum of the first two; the fourth is zero.
        let columns = [[1.0, 2.0, 0.0], [0.0, 1.0, 1.0], [1.0, 3.0, 1.0], [0.0; 3], [1.0, 0.0, 0.0]];
        let product = |i: usize, j: usize| (0..3).map(|k| columns[i][k] * columns[j][k]).sum::<f64>();
        let matrix: Vec<f64> = (0..25).map(|at| product(at / 5, at % 5)).collect();
        let (l, determined) = factor(&matrix, &matrix, 5);
        assert_eq!(determined, [true, true, false, false, true]);
        // A right-hand side of the first, second and fifth.
        let expected = [0.5, -2.0, 0.0, 0.0, 3.0];
        let mut x: Vec<f64> = (0..5).map(|i| (0..5).map(|j| matrix[i * 5 + j] * expected[j]).sum()).collect();
        solve(&l, &mut x);
        for (found, expected) in x.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-13, "{x:?}");
        }
    }
}
