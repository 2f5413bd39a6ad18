//! Field split: unknowns of several kinds, such as velocities and pressures, and preconditioners made of one for each kind
//! (PETSc's `PCFIELDSPLIT`).
//!
//! [`Fields`] divides the rows of a system, makes blocks of its matrix, and lets an operator on one field act on the whole
//! ([`OnField`]). With these the compositions of all preconditioners are those of fields: their sum is
//! [`Additive`](crate::Additive), one after the other [`Multiplicative`](crate::Multiplicative), forwards and backwards
//! (`[&velocity, &pressure, &velocity]`) the symmetric one. Of two fields, [`SchurPreconditioner`] is the block
//! factorization (Elman, Silvester and Wathen, "Finite Elements and Fast Iterative Solvers", 2nd ed., section 8.2).
//!
//! The entries of a field stay on the ranks that own them, so that taking a field out of a vector sends nothing.

mod commutator;
mod on_field;
mod schur;

use dolmen_core::{CsrMatrix, Gid, Layout, LinearOperator, Scalar, Vector};

use crate::error::{Error, Result};
use crate::settings;

pub use commutator::LeastSquaresCommutator;
pub use on_field::OnField;
pub use schur::{SchurComplement, SchurForm, SchurPreconditioner};

const METHOD: &str = "fields";
/// Largest number of fields, each of which has a layout and a list.
const MOST: usize = 1000;

/// A division of the rows of a system.
#[derive(Clone, Debug)]
pub struct Fields {
    layout: Layout,
    fields: Vec<Field>,
}

/// The rows of one field.
#[derive(Clone, Debug)]
struct Field {
    layout: Layout,
    /// Positions of this rank's entries in vectors of all fields, ascending.
    positions: Vec<usize>,
}

impl Field {
    fn take<T: Scalar>(&self, all: &[T], part: &mut [T]) {
        part.iter_mut().zip(&self.positions).for_each(|(part, &position)| *part = all[position]);
    }

    fn put<T: Scalar>(&self, part: &[T], all: &mut [T]) {
        part.iter().zip(&self.positions).for_each(|(&part, &position)| all[position] = part);
    }
}

impl Fields {
    /// Divides `layout` into `count` fields: `field` of a global row that this rank owns is the number of its field.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::Setting`] if `count` is not from 1 to 1000, or the number of a field is not less than it; `RanksDisagree` of the
    /// core if the ranks give different counts.
    pub fn new(layout: &Layout, count: usize, field: impl Fn(Gid) -> usize) -> Result<Fields> {
        let comm = layout.comm();
        comm.compare(|| format!("{count} fields"));
        let few = (1..=MOST).contains(&count);
        comm.agree(settings::require(METHOD, "number of fields", count as f64, few, "1 to 1000"))?;
        let mut positions = vec![Vec::new(); count];
        let mut valid = Ok(());
        for (position, row) in layout.owned_rows().enumerate() {
            match positions.get_mut(field(row)) {
                Some(list) => list.push(position),
                None if valid.is_ok() => valid = Err(past_the_last(field(row))),
                None => {}
            }
        }
        comm.agree(valid)?;
        let fields = positions.into_iter().map(|positions| {
            let layout = Layout::from_local_len(comm, positions.len())?;
            Ok(Field { layout, positions })
        });
        Ok(Fields { layout: layout.clone(), fields: fields.collect::<Result<_>>()? })
    }

    /// Returns the layout of vectors of all fields.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the number of fields.
    pub fn count(&self) -> usize {
        self.fields.len()
    }

    /// Returns the layout of vectors of one field: its rows in their order, on the ranks that own them.
    ///
    /// # Panics
    /// If there is no such field, as indexing a slice does.
    pub fn layout_of(&self, field: usize) -> &Layout {
        &self.fields[field].layout
    }

    /// Returns this rank's global rows of one field, ascending.
    ///
    /// # Panics
    /// As [`Fields::layout_of`].
    pub fn rows_of(&self, field: usize) -> Vec<Gid> {
        let rows: Vec<Gid> = self.layout.owned_rows().collect();
        self.fields[field].positions.iter().map(|&position| rows[position]).collect()
    }

    /// Copies one field of `x` to `part`.
    ///
    /// # Errors
    /// Mismatched layouts.
    ///
    /// # Panics
    /// As [`Fields::layout_of`].
    pub fn take<T: Scalar>(&self, field: usize, x: &Vector<T>, part: &mut Vector<T>) -> Result<()> {
        self.require(field, x.layout(), part.layout())?;
        self.fields[field].take(x.owned(), part.owned_mut());
        Ok(())
    }

    /// Copies `part` to one field of `x`; the others stay.
    ///
    /// # Errors
    /// Mismatched layouts.
    ///
    /// # Panics
    /// As [`Fields::layout_of`].
    pub fn put<T: Scalar>(&self, field: usize, part: &Vector<T>, x: &mut Vector<T>) -> Result<()> {
        self.require(field, x.layout(), part.layout())?;
        self.fields[field].put(part.owned(), x.owned_mut());
        Ok(())
    }

    /// Computes the block of `a` with the rows of one field and the columns of another.
    ///
    /// # Collective
    ///
    /// # Errors
    /// Mismatched layouts; `RanksDisagree` of the core if the ranks give different fields.
    ///
    /// # Panics
    /// As [`Fields::layout_of`].
    pub fn block<T: Scalar>(&self, a: &CsrMatrix<T>, row: usize, column: usize) -> Result<CsrMatrix<T>> {
        self.layout.require_same(a.range(), METHOD)?;
        self.layout.require_same(a.domain(), METHOD)?;
        self.layout.comm().compare(|| format!("block {row}, {column} of fields"));
        Ok(a.submatrix(&self.rows_of(row), &self.rows_of(column))?)
    }

    /// Refuses vectors on other layouts than that of all fields and that of one.
    fn require(&self, field: usize, all: &Layout, part: &Layout) -> Result<()> {
        self.layout.require_same(all, METHOD)?;
        Ok(self.fields[field].layout.require_same(part, METHOD)?)
    }

    /// Refuses a division into another number of fields than two.
    fn require_two(&self, method: &'static str) -> Result<()> {
        let value = self.count() as f64;
        let wrong = Error::Setting { method, setting: "number of fields", value, expected: "two" };
        if self.count() == 2 { Ok(()) } else { Err(wrong) }
    }
}

/// Refuses operators on other layouts than those that are given with them, on all ranks.
///
/// # Collective
fn require_on<T: Scalar>(method: &'static str, wanted: &[(&Layout, &dyn LinearOperator<T>)]) -> Result<()> {
    let fit = wanted.iter().try_for_each(|(layout, operator)| {
        layout.require_same(operator.domain(), method)?;
        layout.require_same(operator.range(), method)
    });
    let comm = wanted.first().map(|(layout, _)| layout.comm());
    Ok(comm.map_or(Ok(()), |comm| comm.agree(fit))?)
}

fn past_the_last(field: usize) -> Error {
    let expected = "a number less than that of the fields";
    Error::Setting { method: METHOD, setting: "field of a row", value: field as f64, expected }
}
