//! Nothing is allocated in vector operations, reductions and operators after the first time.

mod csr;
mod ffi;
mod profile;

use dolmen_core::{
    Adjoint, AdjointOperator, BlockLayout, BlockOperator, Comm, Diagonal, Identity, Layout, LinearOperator,
    MultiVector, Product, Redistribute, Reduction, Result, Scalar, Scaled, Sum, Vector, dots, update, update_dots,
};
use dolmen_tests::{TestResult, case};

fn main() -> std::process::ExitCode {
    dolmen_tests::main(&[case("nothing_is_allocated", &[1, 2, 3], nothing_is_allocated).alone()])
}

/// Runs an operation twice and counts the allocations of the second time.
fn check(what: &str, mut operation: impl FnMut() -> Result<()>) -> TestResult {
    operation()?;
    let before = ffi::allocations();
    operation()?;
    let count = ffi::allocations() - before;
    if count > 0 { Err(format!("{what} allocates {count} times").into()) } else { Ok(()) }
}

fn nothing_is_allocated(comm: &Comm) -> TestResult {
    // The counter counts.
    let before = ffi::allocations();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert!(ffi::allocations() > before);
    vectors::<f32>(comm)?;
    vectors::<dolmen_core::Complex64>(comm)?;
    multi_vectors::<f64>(comm)?;
    operators::<f64>(comm)?;
    csr::products::<f32>(comm)?;
    csr::products::<dolmen_core::Complex64>(comm)?;
    csr::block_products::<f64>(comm)?;
    csr::block_products::<dolmen_core::Complex32>(comm)?;
    profile::events(comm)
}

fn vectors<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 3000);
    let moved = Layout::from_local_len(comm, if comm.rank() == 0 { 3000 } else { 0 })?;
    let plan = Redistribute::new(&layout, &moved)?;
    let (mut x, mut y) = (Vector::from_fn(&layout, |row| T::from_parts(row as f64, 1.0)), Vector::zeros(&layout));
    let (z, mut far) = (x.clone(), Vector::zeros(&moved));
    let mut out = [T::Double::ZERO; 5];
    check("axpy", || y.axpy(T::ONE, &x))?;
    check("waxpy", || y.waxpy(T::ONE, &x, &z))?;
    check("multi_axpy", || y.multi_axpy(&[T::ONE; 2], &[&x, &z]))?;
    check("multi_axpby", || y.multi_axpby(&[T::ONE; 2], &[&x, &z], T::ONE))?;
    check("update", || update([&mut y], [&x, &z], |[y], [x, z]| [y + x * z]))?;
    for reduction in [Reduction::Reproducible, Reduction::Fast] {
        check("update_dots", || update_dots([&mut y], [&x], reduction, |[y], [x]| ([y - x], [(y, x)])).map(drop))?;
        check("dots", || dots([(&x, &y), (&x, &x)], reduction).map(drop))?;
        check("multi_dot", || x.multi_dot(&[&x, &y, &x, &y, &x], reduction, &mut out))?;
        check("norms", || {
            std::hint::black_box((reduction.norm1(&x), reduction.norm2(&x), x.norm_inf(), x.sum(reduction)));
            Ok(())
        })?;
    }
    check("redistribution", || {
        plan.apply(&x, &mut far)?;
        plan.apply_reverse(&far, &mut y)
    })?;
    check("random entries", || {
        x.fill_normal(&dolmen_core::random::Philox::new(1), 0);
        Ok(())
    })
}

fn multi_vectors<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 3000);
    let x = MultiVector::from_fn(&layout, 4, |row, column| T::from_parts(row as f64, column as f64));
    let mut y = x.clone();
    let b = x.gram(&y, Reduction::Fast)?;
    let mut sums = [T::Double::ZERO; 4];
    let mut norms = [0.0; 4];
    for reduction in [Reduction::Reproducible, Reduction::Fast] {
        check("column_dots", || x.column_dots(&y, reduction, &mut sums))?;
        check("column_norms", || x.column_norms(reduction, &mut norms))?;
        check("multiply_add", || y.multiply_add(T::ONE, &x, b.view(), T::ONE, reduction))?;
    }
    Ok(())
}

fn operators<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 300);
    let d = Diagonal::new(Vector::from_fn(&layout, |row| T::from_parts(row as f64, 1.0)));
    let sum = Sum::new(T::ONE, &d, T::ONE, Scaled::new(T::ONE, Identity::new(&layout)))?;
    let product = Product::new(Adjoint::new(&sum), &d)?;
    let stack = BlockLayout::new(&[&layout, &layout])?;
    let grid: Vec<Vec<Option<&dyn AdjointOperator<T>>>> = vec![vec![Some(&sum), Some(&product)], vec![None, Some(&d)]];
    let a = BlockOperator::new(&stack, &stack, grid)?;
    let x = Vector::from_fn(a.domain(), |_| T::ONE);
    let mut y = Vector::zeros(a.range());
    check("apply", || a.apply(&x, &mut y))?;
    check("apply_adjoint", || a.apply_adjoint(&x, &mut y))
}
