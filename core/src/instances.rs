//! Code of vectors and matrices for all types of numbers, compiled with this crate.
//!
//! Up to `opt-level = 1` a crate calls the generic code that a crate below it has compiled, instead of compiling it
//! again; see the file of this name in dolmen-solvers.

use crate::{
    AdjointOperator as _, BlockCsrMatrix, Complex32, Complex64, CsrBuilder, CsrMatrix, Duplicates, LinearOperator as _,
    MultiVector, Reduction, Result, Scalar, Vector, dots,
};

fn vectors<T: Scalar>(x: &Vector<T>, y: &mut Vector<T>, out: &mut [T::Double]) -> Result<()> {
    y.axpy(T::ONE, x)?;
    y.axpby(T::ONE, x, T::ONE)?;
    y.copy_from(x)?;
    y.scale(T::ONE);
    y.multi_dot(&[x], Reduction::Reproducible, out)?;
    y.multi_dot(std::slice::from_ref(x), Reduction::Fast, out)?;
    y.dotu(x, Reduction::Fast)?;
    dots([(x, x), (x, y)], Reduction::Reproducible)?;
    dots([(x, x), (x, y), (y, x)], Reduction::Reproducible)?;
    x.sum(Reduction::Fast);
    y.dot(x)?;
    x.norm1();
    x.norm2();
    x.norm_inf();
    x.gather_all();
    Ok(())
}

fn columns<T: Scalar>(x: &MultiVector<T>, y: &mut MultiVector<T>, out: &mut [T::Double]) -> Result<()> {
    let gram = x.gram(y, Reduction::Fast)?;
    y.multiply_add(T::ONE, x, gram.view(), T::ONE, Reduction::Fast)?;
    y.column_dots(x, Reduction::Fast, out)?;
    y.column_norms(Reduction::Fast, &mut [])?;
    y.tsqr()?;
    y.cholesky_qr2()?;
    Ok(())
}

fn matrices<T: Scalar>(a: &mut CsrMatrix<T>, x: &mut MultiVector<T>, y: &mut Vector<T>) -> Result<()> {
    CsrBuilder::<T>::new(a.range(), a.domain(), Duplicates::Add).build()?;
    CsrMatrix::from_triplets(a.range(), a.domain(), [(0, 0, T::ONE)], Duplicates::Add)?;
    CsrMatrix::from_triplets(a.range(), a.domain(), vec![(0, 0, T::ONE)], Duplicates::Add)?;
    BlockCsrMatrix::from_csr(1, a)?;
    a.apply(&y.clone(), y)?;
    a.apply_add(&y.clone(), y)?;
    a.apply_transpose(&y.clone(), y)?;
    a.apply_adjoint(&y.clone(), y)?;
    a.apply_many(&x.clone(), x)?;
    a.add(T::ONE, &a.transpose()?, T::ONE)?;
    a.multiply(a)?;
    a.triple_product(a)?;
    a.gather_all()?;
    a.scale_rows(y)?;
    a.scale_columns(y)?;
    a.column_sums()?;
    a.norm_frobenius();
    a.norm_inf();
    Ok(())
}

type Vectors<T> = fn(&Vector<T>, &mut Vector<T>, &mut [<T as Scalar>::Double]) -> Result<()>;
type Columns<T> = fn(&MultiVector<T>, &mut MultiVector<T>, &mut [<T as Scalar>::Double]) -> Result<()>;
type Matrices<T> = fn(&mut CsrMatrix<T>, &mut MultiVector<T>, &mut Vector<T>) -> Result<()>;
type Compiled<T> = (Vectors<T>, Columns<T>, Matrices<T>);

#[used]
static COMPILED: (Compiled<f32>, Compiled<f64>, Compiled<Complex32>, Compiled<Complex64>) = (
    (vectors, columns, matrices),
    (vectors, columns, matrices),
    (vectors, columns, matrices),
    (vectors, columns, matrices),
);
