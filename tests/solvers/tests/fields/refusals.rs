//! Divisions that are none.

use dolmen_core::{BlockLayout, Comm, CsrMatrix, Identity, Layout, LinearOperator, Scaled, Vector};
use dolmen_solvers::{Fields, OnField, Result, SchurForm, SchurPreconditioner};
use dolmen_tests::{TestResult, message};

use crate::dense::at;

fn says<V>(comm: &Comm, result: Result<V>, part: &str) -> TestResult {
    let text = message(comm, result)?;
    if text.contains(part) { Ok(()) } else { Err(format!("'{text}' does not say '{part}'").into()) }
}

pub(crate) fn fields(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 12);
    let a = CsrMatrix::<f64>::from_rows(&layout, &layout, |row, entries| {
        entries.push(row, if row == 7 { 0.0 } else { 2.0 });
    })?;
    says(comm, Fields::new(&layout, 2, |row| usize::from(row > 8) * 5), "field of a row is 5, expected a number less")?;
    says(comm, Fields::new(&layout, 2000, |_| 0), "number of fields is 2000, expected 1 to 1000")?;
    let three = Fields::new(&layout, 3, |row| at(row % 3))?;
    let identity = |field: usize| Identity::new(three.layout_of(field));
    let made = SchurPreconditioner::new(&a, &three, SchurForm::Full, identity(0), identity(1));
    says(comm, made, "number of fields is 3, expected two")?;
    says(comm, OnField::<f64, _>::new(&three, 1, Identity::new(&layout)), "different layouts")?;
    let two = Fields::new(&layout, 2, |row| usize::from(row < 4))?;
    let swapped = [1, 0].map(|field| Identity::new(two.layout_of(field)));
    let [first, second] = swapped;
    says(comm, SchurPreconditioner::new(&a, &two, SchurForm::Full, first, second), "different layouts")?;
    says(comm, two.schur_of_diagonal(&a), "row 7 has a zero on the diagonal")?;
    let other = Layout::uniform(comm, 13);
    says(comm, two.take(0, &Vector::<f64>::zeros(&other), &mut Vector::zeros(two.layout_of(0))), "different layouts")
}

pub(crate) fn disagreements(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 12);
    let text = message(comm, Fields::new(&layout, 2 + comm.rank(), |_| 0))?;
    assert!(text.contains("2 fields"), "{text}");
    let a = CsrMatrix::<f64>::from_rows(&layout, &layout, |row, entries| entries.push(row, 2.0))?;
    let fields = Fields::new(&layout, 2, |row| usize::from(row < 4))?;
    let first = comm.rank() == 0;
    says(comm, fields.block(&a, 0, usize::from(first)), "block 0, 1 of fields")?;
    let identity = |field: usize| Identity::new(fields.layout_of(field));
    let form = if first { SchurForm::Lower } else { SchurForm::Full };
    says(comm, SchurPreconditioner::new(&a, &fields, form, identity(0), identity(1)), "form Lower")?;
    let other = SchurPreconditioner::new(&a, &fields, SchurForm::Full, identity(usize::from(first)), identity(1));
    says(comm, other, "different layouts")?;
    says(comm, OnField::<f64, _>::new(&fields, usize::from(first), identity(1)), "operator on field")
}

/// The rows of a stacked vector.
pub(crate) fn stacked(comm: &Comm) -> TestResult {
    let parts = [Layout::uniform(comm, 5), Layout::uniform(comm, 3)];
    let blocks = BlockLayout::new(&[&parts[0], &parts[1]])?;
    let fields = Fields::new(blocks.stacked(), 2, |row| usize::from(row >= 5))?;
    assert!(fields.rows_of(1).into_iter().eq(parts[1].owned_rows().map(|row| row + 5)));
    let doubled = OnField::new(&fields, 1, Scaled::new(2.0, Identity::new(fields.layout_of(1))))?;
    let x = Vector::from_fn(blocks.stacked(), |row| row as f64);
    let mut y = Vector::zeros(blocks.stacked());
    doubled.apply(&x, &mut y)?;
    assert_eq!(y.gather_all(), [0.0, 0.0, 0.0, 0.0, 0.0, 10.0, 12.0, 14.0]);
    Ok(())
}
