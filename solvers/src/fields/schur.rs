//! Block factorizations of a system of two fields.
//!
//! With `S = A11 - A10 A00^-1 A01`, the Schur complement,
//!
//! ```text
//! [ A00 A01 ]   [ I              ] [ A00   ] [ I  A00^-1 A01 ]
//! [ A10 A11 ] = [ A10 A00^-1   I ] [     S ] [             I ]
//! ```
//!
//! and a preconditioner is the inverse of all factors or of some, with approximations of the inverses of `A00` and `S`. With exact
//! ones GMRES ends after one iteration of the full form, two of a triangular one, and, where `A11 = 0`, three of the diagonal
//! one (Murphy, Golub and Wathen 2000).

use std::cell::RefCell;

use dolmen_core::{AdjointOperator, CsrMatrix, Layout, LinearOperator, Result as CoreResult, Scalar, Vector};

use crate::error::{Error, Result};
use crate::fields::{Fields, require_on};
use crate::precond::jacobi::invert;

const METHOD: &str = "Schur complement";

/// Factors of the block factorization that a [`SchurPreconditioner`] inverts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchurForm {
    /// The middle one. Positive definite if both inverses are: for a saddle point that of the complement is
    /// negative, so give the inverse of `-S` there, and MINRES may be used.
    Diagonal,
    /// The first two: block lower triangular.
    Lower,
    /// The last two: block upper triangular.
    Upper,
    /// All three. Hermitian if `A` and both inverses are.
    #[default]
    Full,
}

/// An inverse by blocks of a system of two fields, with approximations of the inverses of `A00` and of the Schur complement
/// (`PCFIELDSPLIT` of PETSc with `-pc_fieldsplit_type schur`).
///
/// Either inverse may be any operator: a preconditioner made from a block, or a
/// [`FnOperator`](dolmen_core::FnOperator) that solves with one by some method, which then varies from one application to the
/// next, so that the outer method is one that allows for it, such as [`Fgmres`](crate::Fgmres).
pub struct SchurPreconditioner<T, K, S> {
    fields: Fields,
    form: SchurForm,
    /// `A01` and `A10`.
    couplings: [CsrMatrix<T>; 2],
    inverse: K,
    complement: S,
    work: RefCell<Work<T>>,
}

/// Vectors of both fields.
struct Work<T> {
    input: [Vector<T>; 2],
    output: [Vector<T>; 2],
    rest: [Vector<T>; 2],
}

impl<T: Scalar, K: LinearOperator<T>, S: LinearOperator<T>> SchurPreconditioner<T, K, S> {
    /// Creates the preconditioner of `a` from approximations of the inverses of `A00` and of the Schur complement.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::Setting`] if there are not two fields; mismatched layouts; `RanksDisagree` of the core if the ranks give
    /// different forms.
    pub fn new(a: &CsrMatrix<T>, fields: &Fields, form: SchurForm, inverse: K, complement: S) -> Result<Self> {
        fields.require_two(METHOD)?;
        fields.layout().comm().compare(|| format!("Schur complement, form {form:?}"));
        require_on(METHOD, &[(fields.layout_of(0), &inverse), (fields.layout_of(1), &complement)])?;
        let couplings = [fields.block(a, 0, 1)?, fields.block(a, 1, 0)?];
        let pair = || [Vector::zeros(fields.layout_of(0)), Vector::zeros(fields.layout_of(1))];
        let work = RefCell::new(Work { input: pair(), output: pair(), rest: pair() });
        Ok(SchurPreconditioner { fields: fields.clone(), form, couplings, inverse, complement, work })
    }

    /// Applies the factors of `form`, with what `part` computes for each of their blocks.
    fn apply_with(
        &self,
        form: SchurForm,
        x: &Vector<T>,
        y: &mut Vector<T>,
        part: impl Fn(Part, &Vector<T>, &mut Vector<T>) -> CoreResult<()>,
    ) -> CoreResult<()> {
        let Work { input, output, rest } = &mut *self.work.borrow_mut();
        let ([x0, x1], [y0, y1], [rest0, rest1]) = (input, output, rest);
        let [first, second] = [&self.fields.fields[0], &self.fields.fields[1]];
        first.take(x.owned(), x0.owned_mut());
        second.take(x.owned(), x1.owned_mut());
        if matches!(form, SchurForm::Lower | SchurForm::Full) {
            part(Part::Inverse, x0, y0)?;
            part(Part::Lower, y0, rest1)?;
            rest1.axpby(T::ONE, x1, -T::ONE)?;
            part(Part::Complement, rest1, y1)?;
        } else {
            part(Part::Complement, x1, y1)?;
        }
        if matches!(form, SchurForm::Upper | SchurForm::Full) {
            part(Part::Upper, y1, rest0)?;
            rest0.axpby(T::ONE, x0, -T::ONE)?;
            part(Part::Inverse, rest0, y0)?;
        } else if form == SchurForm::Diagonal {
            part(Part::Inverse, x0, y0)?;
        }
        first.put(y0.owned(), y.owned_mut());
        second.put(y1.owned(), y.owned_mut());
        Ok(())
    }
}

/// A block of the factors.
#[derive(Clone, Copy)]
enum Part {
    Inverse,
    Complement,
    /// From the first field to the second.
    Lower,
    /// From the second field to the first.
    Upper,
}

impl<T: Scalar, K: LinearOperator<T>, S: LinearOperator<T>> LinearOperator<T> for SchurPreconditioner<T, K, S> {
    fn domain(&self) -> &Layout {
        self.fields.layout()
    }

    fn range(&self) -> &Layout {
        self.fields.layout()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        self.apply_with(self.form, x, y, |part, x, y| match part {
            Part::Inverse => self.inverse.compute(x, y),
            Part::Complement => self.complement.compute(x, y),
            Part::Lower => self.couplings[1].compute(x, y),
            Part::Upper => self.couplings[0].compute(x, y),
        })
    }
}

impl<T: Scalar, K: AdjointOperator<T>, S: AdjointOperator<T>> AdjointOperator<T> for SchurPreconditioner<T, K, S> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        let form = match self.form {
            SchurForm::Lower => SchurForm::Upper,
            SchurForm::Upper => SchurForm::Lower,
            symmetric => symmetric,
        };
        self.apply_with(form, x, y, |part, x, y| match part {
            Part::Inverse => self.inverse.compute_adjoint(x, y),
            Part::Complement => self.complement.compute_adjoint(x, y),
            Part::Lower => self.couplings[0].compute_adjoint(x, y),
            Part::Upper => self.couplings[1].compute_adjoint(x, y),
        })
    }
}

/// The Schur complement `A11 - A10 A00^-1 A01` of a system of two fields as an operator, with whatever solves with `A00`.
pub struct SchurComplement<T, K> {
    /// `A11`.
    block: CsrMatrix<T>,
    /// `A01` and `A10`.
    couplings: [CsrMatrix<T>; 2],
    inverse: K,
    /// Two vectors of the first field, one of the second.
    work: RefCell<[Vector<T>; 3]>,
}

impl<T: Scalar, K: LinearOperator<T>> SchurComplement<T, K> {
    /// Creates the complement of `a`, with `inverse` for that of `A00`.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`SchurPreconditioner::new`].
    pub fn new(a: &CsrMatrix<T>, fields: &Fields, inverse: K) -> Result<SchurComplement<T, K>> {
        fields.require_two(METHOD)?;
        let [first, second] = [fields.layout_of(0), fields.layout_of(1)];
        require_on(METHOD, &[(first, &inverse)])?;
        let couplings = [fields.block(a, 0, 1)?, fields.block(a, 1, 0)?];
        let work = RefCell::new([Vector::zeros(first), Vector::zeros(first), Vector::zeros(second)]);
        Ok(SchurComplement { block: fields.block(a, 1, 1)?, couplings, inverse, work })
    }
}

impl<T: Scalar, K: LinearOperator<T>> LinearOperator<T> for SchurComplement<T, K> {
    fn domain(&self) -> &Layout {
        self.block.domain()
    }

    fn range(&self) -> &Layout {
        self.block.range()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        let [coupled, solved, back] = &mut *self.work.borrow_mut();
        self.couplings[0].compute(x, coupled)?;
        self.inverse.compute(coupled, solved)?;
        self.couplings[1].compute(solved, back)?;
        self.block.compute(x, y)?;
        y.axpy(-T::ONE, back)
    }
}

impl<T: Scalar, K: AdjointOperator<T>> AdjointOperator<T> for SchurComplement<T, K> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        let [coupled, solved, back] = &mut *self.work.borrow_mut();
        self.couplings[1].compute_adjoint(x, coupled)?;
        self.inverse.compute_adjoint(coupled, solved)?;
        self.couplings[0].compute_adjoint(solved, back)?;
        self.block.compute_adjoint(x, y)?;
        y.axpy(-T::ONE, back)
    }
}

impl Fields {
    /// Computes `A11 - A10 diag(A00)^-1 A01`, a sparse matrix near the Schur complement of two fields where `A00` is near its
    /// diagonal (`selfp` of PETSc).
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::Setting`] if there are not two fields, [`Error::Unfit`] for a row of `A00` whose diagonal is zero; mismatched
    /// layouts.
    pub fn schur_of_diagonal<T: Scalar>(&self, a: &CsrMatrix<T>) -> Result<CsrMatrix<T>> {
        self.require_two(METHOD)?;
        self.layout().require_same(a.range(), METHOD)?;
        let mut inverse = Vector::zeros(self.layout_of(0));
        let diagonal = a.diagonal().ok_or(Error::NoDiagonal { method: METHOD })?;
        self.take(0, &diagonal, &mut inverse)?;
        let mut valid = Ok(());
        for (value, row) in inverse.owned_mut().iter_mut().zip(self.rows_of(0)) {
            match invert(*value) {
                Ok(inverse) => *value = inverse,
                Err(defect) if valid.is_ok() => valid = Err(Error::Unfit { method: METHOD, row, defect }),
                Err(_) => {}
            }
        }
        self.layout().comm().agree(valid)?;
        let mut scaled = self.block(a, 1, 0)?;
        scaled.scale_columns(&inverse)?;
        let product = scaled.multiply(&self.block(a, 0, 1)?)?;
        Ok(self.block(a, 1, 1)?.add(T::ONE, &product, -T::ONE)?)
    }
}
