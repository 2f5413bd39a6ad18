//! The prolongator from the aggregates of a matrix, and the matrix of the next level.
//!
//! The tentative prolongator `P_0` is constant on each aggregate. One step of damped Jacobi for the strong part `F` of
//! the matrix smooths it: `P = (I - omega D_F^-1 F) P_0` with `omega = 4 / (3 lambda)`, `lambda` the largest eigenvalue of
//! `D_F^-1 F` (Vanek, Mandel and Brezina, Computing 56 (1996) 179). Weak entries are added to the diagonal of `F`, so
//! that constants stay what `F` sends to zero; the next matrix is `P^H A P`. All sums run in the order of global numbers.

use dolmen_core::index::at;
use dolmen_core::{
    CsrMatrix, ExchangePlan, Gid, Graph, IndexMap, LinearOperator, MultiplyPlan, Scalar, TriplePlan, Vector,
};

use crate::error::Result;
use crate::multigrid::aggregation::aggregate;
use crate::multigrid::noise::next_scale;
use crate::multigrid::smoother::Smoother;

/// Damping of the step that smooths a prolongator, times the largest eigenvalue.
const DAMPING: f64 = 4.0 / 3.0;
/// Share of a diagonal entry that must be left when weak entries are added to it.
const LEFT: f64 = 0.1;

/// From one level to the next.
pub(super) struct Transfer<T: Scalar> {
    /// The strong part of the matrix; none if all of it is strong.
    strong: Option<CsrMatrix<T>>,
    tentative: CsrMatrix<T>,
    pub(super) prolongator: CsrMatrix<T>,
    /// Made by the first refill.
    plans: Option<(MultiplyPlan<T>, TriplePlan<T>)>,
}

impl<T: Scalar> Transfer<T> {
    /// Makes the prolongator of a matrix; none if there is nothing to aggregate.
    ///
    /// # Collective
    pub(super) fn new(
        a: &CsrMatrix<T>,
        scale: Option<&Vector<T>>,
        smoother: &Smoother<T>,
        threshold: f64,
    ) -> Result<Option<Transfer<T>>> {
        let strong = strong_part(a, threshold)?;
        let aggregates = aggregate(&Graph::from_matrix(strong.as_ref().unwrap_or(a))?)?;
        if aggregates.coarse.global_len() == 0 {
            return Ok(None);
        }
        let mut of = aggregates.of.iter();
        let tentative = CsrMatrix::from_rows(a.range(), &aggregates.coarse, |_, row| {
            if let Some(&Some(aggregate)) = of.next() {
                row.push(aggregate, T::ONE);
            }
        })?;
        let prolongator = smoothing(a, strong.as_ref(), scale, smoother)?.multiply(&tentative)?;
        Ok(Some(Transfer { strong, tentative, prolongator, plans: None }))
    }

    /// Computes `P^H A P`.
    ///
    /// # Collective
    pub(super) fn coarse(&self, a: &CsrMatrix<T>) -> Result<CsrMatrix<T>> {
        Ok(a.triple_product(&self.prolongator)?)
    }

    /// Returns what the diagonal of the next matrix would be about if nothing canceled.
    ///
    /// # Collective
    pub(super) fn scale(&self, a: &CsrMatrix<T>, scale: Option<&Vector<T>>) -> Result<Vector<T>> {
        next_scale(a, scale, &self.tentative)
    }

    /// Takes new values of a matrix on the aggregates that are there, and gives those of the next matrix.
    ///
    /// # Collective
    pub(super) fn refill(
        &mut self,
        a: &CsrMatrix<T>,
        scale: Option<&Vector<T>>,
        smoother: &Smoother<T>,
        coarse: &mut CsrMatrix<T>,
    ) -> Result<()> {
        if let Some(strong) = &mut self.strong {
            *strong = filtered(a, |row, column, _| strong.get(row, column).is_some())?;
        }
        let smoothing = smoothing(a, self.strong.as_ref(), scale, smoother)?;
        let (multiply, triple) = match self.plans.take() {
            Some(plans) => plans,
            None => {
                let multiply = self.prolongator.plan_multiply(&smoothing, &self.tentative)?;
                (multiply, coarse.plan_triple_product(a, &self.prolongator)?)
            }
        };
        self.prolongator.refill_multiply(&multiply, &smoothing, &self.tentative)?;
        coarse.refill_triple_product(&triple, a, &self.prolongator)?;
        self.plans = Some((multiply, triple));
        Ok(())
    }
}

/// Returns the strong part of a matrix, with the rest added to its diagonal; none if all of it is strong. An entry is
/// strong if its absolute value is above `threshold` times the geometric mean of its two diagonal entries.
///
/// # Collective
fn strong_part<T: Scalar>(a: &CsrMatrix<T>, threshold: f64) -> Result<Option<CsrMatrix<T>>> {
    let diagonal = a.diagonal().expect("invariant: a square matrix knows its diagonal");
    let ghosts = IndexMap::new(a.ghost_columns().to_vec())?;
    let plan = ExchangePlan::new(a.range(), &ghosts)?;
    let imported = plan.import(&diagonal)?;
    let size = |row: Gid| match a.range().global_to_owned(row) {
        Some(place) => diagonal.owned()[place].abs(),
        None => imported[at(ghosts.global_to_local(row).expect("invariant: a column is owned or a ghost"))].abs(),
    };
    let limit = threshold * threshold;
    let is_strong = |own: T::Real, column: Gid, value: T| {
        let (value, own, other): (f64, f64, f64) = (real(value.abs()), real(own), real(size(column)));
        (value / own) * (value / other) > limit
    };
    let keep = |row: Gid, column: Gid, value: T| {
        let own = diagonal.owned()[a.range().global_to_owned(row).expect("invariant: own rows only")];
        is_strong(own.abs(), column, value)
    };
    let entries = a.rows().flat_map(|row| row.entries().map(move |(column, value)| (row.index(), column, value)));
    let weak = entries.filter(|&(row, column, value)| row != column && !keep(row, column, value));
    let mut weak = [weak.count() as u64];
    a.range().comm().all_reduce_sum(&mut weak);
    if weak[0] == 0 { Ok(None) } else { filtered(a, keep).map(Some) }
}

fn real(value: impl dolmen_core::Real) -> f64 {
    value.to_f64()
}

/// Returns the entries of a matrix off its diagonal that are kept; the others are added to the diagonal, unless they would
/// leave little of it.
///
/// # Collective
fn filtered<T: Scalar>(a: &CsrMatrix<T>, keep: impl Fn(Gid, Gid, T) -> bool) -> Result<CsrMatrix<T>> {
    let mut rows = a.rows();
    Ok(CsrMatrix::from_rows(a.range(), a.domain(), |number, row| {
        let Some(given) = rows.next() else { return };
        let (mut own, mut dropped) = (T::ZERO, T::ZERO);
        for (column, value) in given.entries() {
            if column == number {
                own = value;
            } else if keep(number, column, value) {
                row.push(column, value);
            } else {
                dropped += value;
            }
        }
        let sum = own + dropped;
        let is_left = real(sum.re()) > LEFT * real(own.re());
        row.push(number, if is_left { sum } else { own });
    })?)
}

/// Returns `I - omega D_F^-1 F`, on the pattern of `F`.
///
/// # Collective
fn smoothing<T: Scalar>(
    a: &CsrMatrix<T>,
    strong: Option<&CsrMatrix<T>>,
    scale: Option<&Vector<T>>,
    smoother: &Smoother<T>,
) -> Result<CsrMatrix<T>> {
    let own;
    let (f, smoother) = match strong {
        None => (a, smoother),
        Some(strong) => {
            own = Smoother::new(strong, scale)?;
            (strong, &own)
        }
    };
    // Where all rows are zero to rounding there is nothing to smooth.
    let omega = if smoother.largest() > 0.0 { DAMPING / smoother.largest() } else { 0.0 };
    let mut factors = smoother.inverse().clone();
    factors.scale(T::from_parts(-omega, 0.0));
    let mut smoothing = f.clone();
    smoothing.scale_rows(&factors)?;
    // A row of zeros is left alone.
    let entry = |factor: T| if factor == T::ZERO { T::ONE } else { T::from_parts(1.0 - omega, 0.0) };
    let diagonal = f.range().owned_rows().zip(factors.owned()).map(|(row, &factor)| (row, row, entry(factor)));
    smoothing.set(diagonal.collect::<Vec<_>>())?;
    Ok(smoothing)
}
