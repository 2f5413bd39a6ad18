//! A system without the rows and columns in which its matrix is zero.
//!
//! No preconditioner takes them, and they need none: no `x` changes what is left of `b` in an empty row, and
//! entries of `x` in empty columns change nothing. They are left out, the rest is solved, and `x` is zero in the
//! empty columns, which makes it the shortest solution.
//!
//! If as many rows as columns are left, row `i` stands with column `i` where both are left. The other rows stand
//! with the other columns in their order: the rest has the same numbers on any number of ranks.

use dolmen_core::{CsrMatrix, Gid, Layout, LinearOperator, MatrixRow, Scalar, Snapshot, Vector};

use crate::automatic::resume::BEST;
use crate::error::Result;

/// Entries of a long vector that make a short one.
struct Places {
    short: Layout,
    long: Layout,
    numbers: Vec<Gid>,
}

impl Places {
    fn take<T: Scalar>(&self, long: &Vector<T>) -> Result<Vector<T>> {
        Ok(Vector::from_owned(&self.short, long.get_entries(&self.numbers)?)?)
    }

    /// Returns the long vector with these entries, and zeros elsewhere.
    fn put<T: Scalar>(&self, short: &Vector<T>) -> Result<Vector<T>> {
        let entries: Vec<(Gid, T)> = self.numbers.iter().copied().zip(short.owned().iter().copied()).collect();
        let mut long = Vector::zeros(&self.long);
        long.set_entries(&entries)?;
        Ok(long)
    }
}

/// A matrix without its empty rows and columns.
pub(super) struct Reduced<T: Scalar> {
    pub(super) matrix: CsrMatrix<T>,
    rows: Places,
    columns: Places,
}

impl<T: Scalar> Reduced<T> {
    /// Leaves out the empty rows and columns of `a`; `None` where rows and columns of a square matrix are
    /// distributed in different ways.
    ///
    /// # Collective
    pub(super) fn new(a: &CsrMatrix<T>, adjoint: &CsrMatrix<T>) -> Result<Option<Reduced<T>>> {
        let comm = a.range().comm();
        let same = a.range() == a.domain();
        if !same && a.range().global_len() == a.domain().global_len() {
            return Ok(None);
        }
        let (rows, mut columns) = (kept(a), kept(adjoint));
        let mut counts = [rows.len() as u64, columns.len() as u64];
        comm.all_reduce_sum(&mut counts);
        if counts[0] == counts[1] {
            columns = partners(a.domain(), &rows, columns, same)?;
        }
        let matrix = a.submatrix(&rows, &columns)?;
        let rows = Places { short: matrix.range().clone(), long: a.range().clone(), numbers: rows };
        let columns = Places { short: matrix.domain().clone(), long: a.domain().clone(), numbers: columns };
        Ok(Some(Reduced { matrix, rows, columns }))
    }

    /// Returns a right-hand side without empty rows.
    pub(super) fn right_hand_side(&self, b: &Vector<T>) -> Result<Vector<T>> {
        self.rows.take(b)
    }

    /// Returns a solution without empty columns.
    pub(super) fn solution(&self, x: &Vector<T>) -> Result<Vector<T>> {
        self.columns.take(x)
    }

    /// Returns a solution of the rest, with zeros in the empty columns.
    pub(super) fn whole_solution(&self, x: &Vector<T>) -> Result<Vector<T>> {
        self.columns.put(x)
    }

    /// Returns the number of nonzero entries of `b` in the empty rows, and their norm.
    pub(super) fn left_out(&self, b: &Vector<T>) -> Result<(u64, f64)> {
        let mut rest = self.rows.put(&self.rows.take(b)?)?;
        rest.axpby(T::ONE, b, -T::ONE)?;
        let mut count = [rest.owned().iter().filter(|entry| **entry != T::ZERO).count() as u64];
        rest.comm().all_reduce_sum(&mut count);
        Ok((count[0], rest.norm2()))
    }

    /// Returns a snapshot with vectors of the whole system, as users read them.
    pub(super) fn whole_snapshot(&self, snapshot: &Snapshot<T>) -> Result<Snapshot<T>> {
        let mut whole = numbers_of(snapshot);
        for (name, vector) in snapshot.vectors() {
            let is_of_rows = vector.layout() == &self.rows.short;
            let places = if is_of_rows { &self.rows } else { &self.columns };
            whole.set_integer(&marker(name), u64::from(is_of_rows));
            whole.set_vector(name, places.put(vector)?);
        }
        Ok(whole)
    }

    /// Returns the snapshot of which [`Reduced::whole_snapshot`] made this one.
    pub(super) fn snapshot(&self, whole: &Snapshot<T>) -> Result<Snapshot<T>> {
        let mut snapshot = numbers_of(whole);
        for (name, vector) in whole.vectors().filter(|(name, _)| *name != BEST) {
            let places = if whole.integer(&marker(name)) == Some(1) { &self.rows } else { &self.columns };
            places.long.require_same(vector.layout(), "snapshot of an automatic solve")?;
            snapshot.set_vector(name, places.take(vector)?);
        }
        Ok(snapshot)
    }
}

/// Returns the integer that says of a vector in a snapshot that it has an entry for each row.
fn marker(name: &str) -> String {
    format!("{name} is of rows")
}

/// Returns a snapshot without its vectors.
fn numbers_of<T: Scalar>(snapshot: &Snapshot<T>) -> Snapshot<T> {
    let mut numbers = Snapshot::new(snapshot.method());
    snapshot.integers().for_each(|(name, value)| numbers.set_integer(name, value));
    snapshot.all_reals().for_each(|(name, values)| numbers.set_reals(name, values.to_vec()));
    numbers
}

/// Returns this rank's lines that are not empty.
fn kept<T: Scalar>(lines: &CsrMatrix<T>) -> Vec<Gid> {
    let is_kept = |line: &MatrixRow<'_, T>| line.values().iter().any(|value| *value != T::ZERO);
    lines.rows().filter(is_kept).map(|line| line.index()).collect()
}

/// Returns the columns that stand with this rank's `rows`; `columns` are those that it owns, and as many on all ranks.
///
/// # Collective
fn partners(domain: &Layout, rows: &[Gid], columns: Vec<Gid>, same: bool) -> Result<Vec<Gid>> {
    let comm = domain.comm();
    let has_own = |row: &Gid| same && columns.binary_search(row).is_ok();
    let lonely_rows = rows.iter().filter(|row| !has_own(row)).count();
    let is_lonely = |column: &Gid| !(same && rows.binary_search(column).is_ok());
    // Numbers travel as the bits of a vector, which is only copied.
    let lonely: Vec<f64> = columns.iter().copied().filter(is_lonely).map(f64::from_bits).collect();
    let lonely = Vector::from_owned(&Layout::from_local_len(comm, lonely.len())?, lonely)?;
    let moved = lonely.redistributed(&Layout::from_local_len(comm, lonely_rows)?)?;
    let mut others = moved.owned().iter().map(|bits| bits.to_bits());
    let partner = |row: &Gid| if has_own(row) { *row } else { others.next().expect("invariant: as many columns") };
    Ok(rows.iter().map(partner).collect())
}
