//! Products and norms of sparse matrices ask for no memory after the first.

use dolmen_core::{Complex64, CsrMatrix, Layout, LinearOperator, Vector};
use dolmen_tests::{Comm, CountingAllocator, TestResult, allocations, case};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> std::process::ExitCode {
    dolmen_tests::main(&[case("products_do_not_allocate", &[1, 2, 3], products_do_not_allocate)])
}

fn products_do_not_allocate(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 200);
    let one = Complex64::new(1.0, 0.5);
    let matrix = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
        for step in [0, 1, 17, 100] {
            entries.push((row + step) % 200, one * (row + step) as f64);
        }
    })?;
    let x = Vector::from_fn(&layout, |row| one * row as f64);
    let mut y = Vector::zeros(&layout);
    let many = vec![one; 5 * layout.local_len()];
    let mut results = many.clone();
    let mut all = || -> TestResult {
        matrix.apply(&x, &mut y)?;
        matrix.apply_add(&x, &mut y)?;
        matrix.apply_adjoint(&x, &mut y)?;
        matrix.apply_transpose(&x, &mut y)?;
        matrix.multiply_many(&many, &mut results, 5)?;
        assert!(matrix.norm_inf() > 0.0 && matrix.norm_frobenius() > 0.0 && matrix.norm_one()? > 0.0);
        Ok(())
    };
    let before = allocations();
    all()?;
    let first = allocations() - before;
    assert!(first > 0, "the adjoint is made by the first call, so the counter counts");
    all()?;
    let before = allocations();
    for _ in 0..10 {
        all()?;
    }
    assert_eq!(allocations() - before, 0, "requests for memory in ten rounds");
    Ok(())
}
