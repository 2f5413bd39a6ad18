//! The tentative prolongator `P_0` of a level, with which its near-null-space vectors `B` are `P_0 R`.
//!
//! For the constant vector alone it is one on each aggregate, and `R` is one. Several vectors are orthonormalized on the rows
//! of each aggregate, `B = Q R` there: the columns of `Q` are those of the aggregate in `P_0`, and the rows of `R` are the
//! near-null-space vectors of the next level, whose nodes are the aggregates with as many unknowns as there are
//! vectors. A vector that depends on those before it, on an aggregate of few rows, has a column of zeros: its unknown
//! takes no part in anything, and has a diagonal entry on the next level so that this is not singular.
//!
//! The owner of an aggregate has its rows, in global order, in the transpose of `B` spread over the columns of the
//! aggregates, so that nothing depends on the ranks that own them.

use dolmen_core::{CsrMatrix, Gid, Layout, LinearOperator, MultiVector, Real, Scalar, Vector};

use crate::error::Result;
use crate::multigrid::aggregation::Aggregates;
use crate::multigrid::near_null_space::NearNullSpace;
use crate::multigrid::noise;
use crate::multigrid::orthonormal::{Orthonormal, orthonormal};

/// The prolongator before it is smoothed.
pub(super) enum Tentative<T: Scalar> {
    /// One on each aggregate.
    Constant(CsrMatrix<T>),
    /// Orthonormal vectors on each aggregate.
    Vectors {
        prolongator: CsrMatrix<T>,
        /// Squares of the entries of the prolongator, by coarse unknowns; of dropped ones, equal numbers that sum to one.
        weights: CsrMatrix<T>,
        /// Coarse unknowns of this rank that are dropped.
        dropped: Vec<Gid>,
    },
}

impl<T: Scalar> Tentative<T> {
    /// Makes the prolongator that is one on each aggregate of rows.
    ///
    /// # Collective
    pub(super) fn constant(rows: &Layout, aggregates: &Aggregates) -> Result<Tentative<T>> {
        let mut of = aggregates.of.iter();
        Ok(Tentative::Constant(CsrMatrix::from_rows(rows, &aggregates.coarse, |_, row| {
            if let Some(&Some(aggregate)) = of.next() {
                row.push(aggregate, T::ONE);
            }
        })?))
    }

    /// Makes the prolongator of near-null-space vectors, and those of the next level. The aggregates are of nodes.
    ///
    /// # Collective
    pub(super) fn vectors(
        aggregates: &Aggregates,
        near: &NearNullSpace<T>,
    ) -> Result<(Tentative<T>, NearNullSpace<T>)> {
        let (rows, columns) = (near.vectors.layout(), near.vectors.columns());
        let coarse = aggregates.coarse.refined(columns)?;
        let mut of = aggregates.of_rows(rows, near.block)?.into_iter().enumerate();
        let spread = CsrMatrix::from_rows(rows, &coarse, |_, row| {
            if let Some((place, Some(aggregate))) = of.next() {
                let unknowns = aggregate * columns as Gid..;
                unknowns.zip(0..columns).for_each(|(unknown, k)| row.push(unknown, near.vectors.column(k)[place]));
            }
        })?;
        let by_unknown = spread.transpose()?;
        let Factors { q, weights, r, dropped } = Factors::new(&by_unknown, columns);
        let prolongator = with_values(&by_unknown, &q)?.transpose()?;
        let tentative = Tentative::Vectors { prolongator, weights: with_values(&by_unknown, &weights)?, dropped };
        Ok((tentative, NearNullSpace { vectors: r, block: columns }))
    }

    pub(super) fn prolongator(&self) -> &CsrMatrix<T> {
        match self {
            Tentative::Constant(prolongator) | Tentative::Vectors { prolongator, .. } => prolongator,
        }
    }

    /// Returns what the diagonal of the next matrix would be about if nothing canceled.
    ///
    /// # Collective
    pub(super) fn scale(&self, a: &CsrMatrix<T>, scale: Option<&Vector<T>>) -> Result<Vector<T>> {
        match self {
            Tentative::Constant(prolongator) => noise::next_scale(a, scale, prolongator),
            Tentative::Vectors { weights, .. } => noise::weighted_scale(a, scale, weights),
        }
    }

    /// Gives unknowns that are dropped a diagonal entry of the size of their neighbors'.
    ///
    /// # Collective
    pub(super) fn complete(&self, next: &mut CsrMatrix<T>, scale: &Vector<T>) -> Result<()> {
        if let Tentative::Vectors { dropped, .. } = self {
            let place = |row| scale.layout().global_to_owned(row).expect("invariant: an own row");
            next.set(dropped.iter().map(|&row| (row, row, scale.owned()[place(row)])))?;
        }
        Ok(())
    }
}

/// The factors of the vectors on all aggregates of this rank.
struct Factors<T> {
    /// Entries of `Q`, unknown by unknown, each along its rows.
    q: Vec<T>,
    /// Their weights.
    weights: Vec<T>,
    r: MultiVector<T>,
    dropped: Vec<Gid>,
}

impl<T: Scalar> Factors<T> {
    /// Orthonormalizes the given vectors, of which row `columns * k + j` has the entries of vector `j` on aggregate `k`.
    fn new(by_unknown: &CsrMatrix<T>, columns: usize) -> Factors<T> {
        let coarse = by_unknown.range();
        let entries = by_unknown.local_entries();
        let mut all = Factors {
            q: Vec::with_capacity(entries),
            weights: Vec::with_capacity(entries),
            r: MultiVector::zeros(coarse, columns),
            dropped: Vec::new(),
        };
        let rows: Vec<_> = by_unknown.rows().collect();
        for (aggregate, given) in rows.chunks_exact(columns).enumerate() {
            let double = |value: &T| T::Double::from_parts(value.re().to_f64(), value.im().to_f64());
            let vectors = given.iter().map(|row| row.values().iter().map(double).collect()).collect();
            let Orthonormal { q, r, dropped } = orthonormal(vectors, T::Real::EPSILON.to_f64());
            for (i, vector) in q.iter().enumerate() {
                let equal = 1.0 / vector.len() as f64;
                let weight = |entry: &T::Double| if dropped[i] { equal } else { entry.abs_sqr() };
                all.q.extend(vector.iter().map(|&entry| T::from_double(entry)));
                all.weights.extend(vector.iter().map(|entry| T::from_parts(weight(entry), 0.0)));
                all.dropped.extend(dropped[i].then(|| given[i].index()));
                (0..columns).for_each(|j| all.r.column_mut(j)[aggregate * columns + i] = T::from_double(r[i][j]));
            }
        }
        all
    }
}

/// Returns a matrix of the same pattern with these values, row by row.
///
/// # Collective
fn with_values<T: Scalar>(pattern: &CsrMatrix<T>, values: &[T]) -> Result<CsrMatrix<T>> {
    let (mut rows, mut values) = (pattern.rows(), values.iter());
    Ok(CsrMatrix::from_rows(pattern.range(), pattern.domain(), |_, row| {
        let columns = rows.next().into_iter().flat_map(|row| row.columns());
        columns.zip(values.by_ref()).for_each(|(column, &value)| row.push(column, value));
    })?)
}
