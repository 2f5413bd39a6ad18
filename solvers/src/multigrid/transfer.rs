//! The prolongator from the aggregates of a matrix, and the matrix of the next level.
//!
//! The tentative prolongator `P_0` is made of near-null-space vectors on each aggregate. One step of damped Jacobi for the
//! strong part `F` of the matrix smooths it: `P = (I - omega D_F^-1 F) P_0` with `omega = 4 / (3 lambda)`, `lambda` the largest eigenvalue of
//! `D_F^-1 F` (Vanek, Mandel and Brezina, Computing 56 (1996) 179). Weak entries are added to the diagonal of `F`, so
//! that constants stay what `F` sends to zero. For other vectors no diagonal does that for all of them, and `F` is the whole
//! matrix. The next matrix is `P^H A P`. All sums run in the order of global numbers.

use dolmen_core::{CsrMatrix, Graph, LinearOperator, MultiplyPlan, Scalar, TriplePlan, Vector};

use crate::error::Result;
use crate::multigrid::aggregation::aggregate;
use crate::multigrid::near_null_space::NearNullSpace;
use crate::multigrid::smoother::Smoother;
use crate::multigrid::strength::{filtered, node_graph, strong_part};
use crate::multigrid::tentative::Tentative;

/// Damping of the step that smooths a prolongator, times the largest eigenvalue.
const DAMPING: f64 = 4.0 / 3.0;

/// From one level to the next.
pub(super) struct Transfer<T: Scalar> {
    /// The strong part of the matrix, from which the prolongator is smoothed; none if that is all of it.
    strong: Option<CsrMatrix<T>>,
    tentative: Tentative<T>,
    pub(super) prolongator: CsrMatrix<T>,
    /// Made by the first refill.
    plans: Option<(MultiplyPlan<T>, TriplePlan<T>)>,
}

/// The way to the next level, and the near-null-space vectors there, if the constant one is not all.
pub(super) type Coarsening<T> = (Transfer<T>, Option<NearNullSpace<T>>);

impl<T: Scalar> Transfer<T> {
    /// Makes the prolongator of a matrix; none if there is nothing to aggregate. Without near-null-space vectors there is
    /// the constant one.
    ///
    /// # Collective
    pub(super) fn new(
        a: &CsrMatrix<T>,
        scale: Option<&Vector<T>>,
        smoother: &Smoother<T>,
        threshold: f64,
        near: Option<&NearNullSpace<T>>,
    ) -> Result<Option<Coarsening<T>>> {
        let strong = if near.is_none() { strong_part(a, threshold)? } else { None };
        let graph = match near {
            None => Graph::from_matrix(strong.as_ref().unwrap_or(a))?,
            Some(near) => node_graph(a, threshold, near.block)?,
        };
        let aggregates = aggregate(&graph)?;
        if aggregates.coarse.global_len() == 0 {
            return Ok(None);
        }
        let (tentative, near) = match near {
            None => (Tentative::constant(a.range(), &aggregates)?, None),
            Some(near) => {
                let (tentative, near) = Tentative::vectors(&aggregates, near)?;
                (tentative, Some(near))
            }
        };
        let smoothing = smoothing(a, strong.as_ref(), scale, smoother)?;
        let prolongator = smoothing.multiply(tentative.prolongator())?;
        Ok(Some((Transfer { strong, tentative, prolongator, plans: None }, near)))
    }

    /// Computes the next matrix, `P^H A P`, and what its diagonal would be about if nothing canceled.
    ///
    /// # Collective
    pub(super) fn coarse(&self, a: &CsrMatrix<T>, scale: Option<&Vector<T>>) -> Result<(CsrMatrix<T>, Vector<T>)> {
        let mut next = a.triple_product(&self.prolongator)?;
        let scale = self.tentative.scale(a, scale)?;
        self.tentative.complete(&mut next, &scale)?;
        Ok((next, scale))
    }

    /// Takes new values of a matrix on the aggregates that are there; gives those of the next matrix, and returns what
    /// its diagonal would be about if nothing canceled.
    ///
    /// # Collective
    pub(super) fn refill(
        &mut self,
        a: &CsrMatrix<T>,
        scale: Option<&Vector<T>>,
        smoother: &Smoother<T>,
        coarse: &mut CsrMatrix<T>,
    ) -> Result<Vector<T>> {
        if let Some(strong) = &mut self.strong {
            *strong = filtered(a, |row, column, _| strong.get(row, column).is_some())?;
        }
        let smoothing = smoothing(a, self.strong.as_ref(), scale, smoother)?;
        let tentative = self.tentative.prolongator();
        let (multiply, triple) = match self.plans.take() {
            Some(plans) => plans,
            None => {
                let multiply = self.prolongator.plan_multiply(&smoothing, tentative)?;
                (multiply, coarse.plan_triple_product(a, &self.prolongator)?)
            }
        };
        self.prolongator.refill_multiply(&multiply, &smoothing, tentative)?;
        coarse.refill_triple_product(&triple, a, &self.prolongator)?;
        self.plans = Some((multiply, triple));
        let scale = self.tentative.scale(a, scale)?;
        self.tentative.complete(coarse, &scale)?;
        Ok(scale)
    }
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
