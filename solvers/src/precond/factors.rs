//! The sparse factorizations of the faer library behind one object for each of the four scalars.
//!
//! faer's matrices have columns, ours rows, and neither is converted: the arrays of `A` are those of
//! `A^T` to faer, so that `A^T` is factored and the transposed system solved. Work space for a
//! solve is kept, so that a solve allocates nothing. All of it runs on the calling thread.

use std::any::Any;
use std::cell::RefCell;

use dolmen_core::{Complex32, Complex64, Scalar, SerialCsr};
use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::cholesky::ldlt::factor::LdltError;
use faer::linalg::cholesky::llt::factor::LltError;
use faer::sparse::linalg::LuError;
use faer::sparse::linalg::cholesky::{
    LdltRef, LltRef, SymbolicCholesky, SymbolicCholeskyRaw, factorize_symbolic_cholesky,
};
use faer::sparse::linalg::lu::{LuRef, NumericLu, SymbolicLu, factorize_symbolic_lu};
use faer::sparse::{FaerError, SparseColMatRef, SymbolicSparseColMatRef};
use faer::traits::ComplexField;
use faer::{Conj, MatMut, Par, Side};

use dolmen_core::index::at;

/// Which factorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Partial pivoting, columns ordered by COLAMD.
    Lu,
    /// `L L^H`, ordered by AMD.
    Cholesky,
    /// `L D L^H` with diagonal `D`, ordered by AMD, without pivoting.
    Ldlt,
}

/// Reason for which there are no factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The pivot of a row is zero, or not positive.
    Row(usize),
    /// No pivot is left.
    Singular,
    /// The factors do not fit into memory.
    Memory,
}

impl From<FaerError> for Failure {
    fn from(_: FaerError) -> Failure {
        Failure::Memory
    }
}

/// Factors of a matrix, to be computed again for other values.
pub(super) trait Factors<T> {
    /// Computes them for a matrix of the pattern that they were made for.
    fn numeric(&mut self, a: &SerialCsr<T>) -> Result<(), Failure>;
    /// Computes `x = A^-1 x`, or `A^-H x`.
    fn solve(&self, x: &mut [T], adjoint: bool);
}

/// Factors without values of a square matrix.
pub(super) fn symbolic<T: Scalar>(kind: Kind, a: &SerialCsr<T>) -> Result<Box<dyn Factors<T>>, Failure> {
    let pattern = Pattern::new(a);
    let factors = match T::NAME {
        f32::NAME => retyped(of_f32(kind, &pattern)?),
        f64::NAME => retyped(of_f64(kind, &pattern)?),
        Complex32::NAME => retyped(of_c32(kind, &pattern)?),
        _ => retyped(of_c64(kind, &pattern)?),
    };
    Ok(factors.expect("invariant: the name belongs to the scalar"))
}

/// Functions that are not generic, so that faer's kernels are compiled with this crate and not again with
/// each that uses it.
macro_rules! of_scalar {
    ($($name:ident: $scalar:ty),*) => {$(
        fn $name(kind: Kind, pattern: &Pattern) -> Result<Box<dyn Factors<$scalar>>, Failure> {
            Ok(match kind {
                Kind::Lu => Box::new(LuFactors::<$scalar>::new(pattern)?),
                Kind::Cholesky | Kind::Ldlt => Box::new(HermitianFactors::<$scalar>::new(kind, pattern)?),
            })
        }
    )*};
}
of_scalar!(of_f32: f32, of_f64: f64, of_c32: Complex32, of_c64: Complex64);

/// Factors of scalars `E` as those of `T`, which is the same type.
fn retyped<E: Scalar, T: Scalar>(factors: Box<dyn Factors<E>>) -> Option<Box<dyn Factors<T>>> {
    let factors: Box<dyn Any> = Box::new(factors);
    factors.downcast::<Box<dyn Factors<T>>>().ok().map(|factors| *factors)
}

/// Row starts and columns in one integer type, as faer wants them.
struct Pattern {
    starts: Vec<usize>,
    columns: Vec<usize>,
}

impl Pattern {
    fn new<T: Scalar>(a: &SerialCsr<T>) -> Pattern {
        let columns = a.column_indices().iter().map(|&column| at(column)).collect();
        Pattern { starts: a.row_offsets().to_vec(), columns }
    }

    /// Returns the pattern of the transpose.
    fn transposed(&self) -> SymbolicSparseColMatRef<'_, usize> {
        let n = self.starts.len() - 1;
        SymbolicSparseColMatRef::new_checked(n, n, &self.starts, None, &self.columns)
    }
}

fn work_space(request: StackReq) -> Result<MemBuffer, Failure> {
    MemBuffer::try_new(request).map_err(|_| Failure::Memory)
}

struct LuFactors<E> {
    symbolic: SymbolicLu<usize>,
    numeric: NumericLu<usize, E>,
    work: RefCell<MemBuffer>,
}

impl<E: ComplexField> LuFactors<E> {
    fn new(pattern: &Pattern) -> Result<LuFactors<E>, Failure> {
        let symbolic = factorize_symbolic_lu(pattern.transposed(), Default::default())?;
        let forward = symbolic.solve_in_place_scratch::<E>(1, Par::Seq);
        let work = work_space(forward.or(symbolic.solve_transpose_in_place_scratch::<E>(1, Par::Seq)))?;
        Ok(LuFactors { symbolic, numeric: NumericLu::new(), work: RefCell::new(work) })
    }
}

impl<E: Scalar + ComplexField> Factors<E> for LuFactors<E> {
    fn numeric(&mut self, a: &SerialCsr<E>) -> Result<(), Failure> {
        let pattern = Pattern::new(a);
        let matrix = SparseColMatRef::new(pattern.transposed(), a.values());
        let request = self.symbolic.factorize_numeric_lu_scratch::<E>(Par::Seq, Default::default());
        let mut work = work_space(request)?;
        let stack = MemStack::new(&mut work);
        match self.symbolic.factorize_numeric_lu(&mut self.numeric, matrix, Par::Seq, stack, Default::default()) {
            Ok(_) => Ok(()),
            Err(LuError::Generic(error)) => Err(error.into()),
            Err(LuError::SymbolicSingular { .. }) => Err(Failure::Singular),
        }
    }

    fn solve(&self, x: &mut [E], adjoint: bool) {
        let work = &mut *self.work.borrow_mut();
        let (factors, n) = (LuRef::new_unchecked(&self.symbolic, &self.numeric), x.len());
        let (x, stack) = (MatMut::from_column_major_slice_mut(x, n, 1), MemStack::new(work));
        if adjoint {
            factors.solve_in_place_with_conj(Conj::Yes, x, Par::Seq, stack);
        } else {
            factors.solve_transpose_in_place_with_conj(Conj::No, x, Par::Seq, stack);
        }
    }
}

struct HermitianFactors<E> {
    kind: Kind,
    symbolic: SymbolicCholesky<usize>,
    values: Vec<E>,
    work: RefCell<MemBuffer>,
}

/// The lower triangle of `A` is the upper one of `A^T`.
const SIDE: Side = Side::Upper;

impl<E: Scalar + ComplexField> HermitianFactors<E> {
    fn new(kind: Kind, pattern: &Pattern) -> Result<HermitianFactors<E>, Failure> {
        let order = Default::default();
        let symbolic = factorize_symbolic_cholesky(pattern.transposed(), SIDE, order, Default::default())?;
        let work = work_space(symbolic.solve_in_place_scratch::<E>(1, Par::Seq))?;
        Ok(HermitianFactors { kind, symbolic, values: Vec::new(), work: RefCell::new(work) })
    }

    /// Returns the row of the matrix of the pivot that faer names: the method for columns one by one counts
    /// from one, that for blocks of columns from zero.
    fn row(&self, pivot: usize) -> usize {
        let simplicial = matches!(self.symbolic.raw(), SymbolicCholeskyRaw::Simplicial(_));
        let pivot = pivot.saturating_sub(usize::from(simplicial));
        let order = self.symbolic.perm().map(|order| order.arrays().0);
        order.and_then(|order| order.get(pivot)).copied().unwrap_or(pivot)
    }

    fn llt(&mut self, matrix: SparseColMatRef<'_, usize, E>) -> Result<(), Failure> {
        let request = self.symbolic.factorize_numeric_llt_scratch::<E>(Par::Seq, Default::default());
        let mut work = work_space(request)?;
        let (stack, values) = (MemStack::new(&mut work), &mut self.values);
        let (shift, settings) = (Default::default(), Default::default());
        match self.symbolic.factorize_numeric_llt(values, matrix, SIDE, shift, Par::Seq, stack, settings) {
            Ok(_) => Ok(()),
            Err(LltError::NonPositivePivot { index }) => Err(Failure::Row(self.row(index))),
        }
    }

    fn ldlt(&mut self, matrix: SparseColMatRef<'_, usize, E>) -> Result<(), Failure> {
        let request = self.symbolic.factorize_numeric_ldlt_scratch::<E>(Par::Seq, Default::default());
        let mut work = work_space(request)?;
        let (stack, values) = (MemStack::new(&mut work), &mut self.values);
        let (shift, settings) = (Default::default(), Default::default());
        match self.symbolic.factorize_numeric_ldlt(values, matrix, SIDE, shift, Par::Seq, stack, settings) {
            Ok(_) => Ok(()),
            Err(LdltError::ZeroPivot { index }) => Err(Failure::Row(self.row(index))),
        }
    }
}

impl<E: Scalar + ComplexField> Factors<E> for HermitianFactors<E> {
    fn numeric(&mut self, a: &SerialCsr<E>) -> Result<(), Failure> {
        let pattern = Pattern::new(a);
        let matrix = SparseColMatRef::new(pattern.transposed(), a.values());
        self.values.clear();
        self.values.try_reserve_exact(self.symbolic.len_val()).map_err(|_| Failure::Memory)?;
        self.values.resize(self.symbolic.len_val(), E::ZERO);
        if self.kind == Kind::Ldlt { self.ldlt(matrix) } else { self.llt(matrix) }
    }

    /// The factored `A^T` is the conjugate of `A`, which is its own adjoint.
    fn solve(&self, x: &mut [E], _adjoint: bool) {
        let (work, n) = (&mut *self.work.borrow_mut(), x.len());
        let (x, stack) = (MatMut::from_column_major_slice_mut(x, n, 1), MemStack::new(work));
        if self.kind == Kind::Ldlt {
            LdltRef::new(&self.symbolic, &self.values).solve_in_place_with_conj(Conj::Yes, x, Par::Seq, stack);
        } else {
            LltRef::new(&self.symbolic, &self.values).solve_in_place_with_conj(Conj::Yes, x, Par::Seq, stack);
        }
    }
}
