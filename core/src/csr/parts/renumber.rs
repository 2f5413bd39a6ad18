//! Matrices in new numbers of their rows and columns.

use crate::csr::assembly::builder::CsrBuilder;
use crate::csr::assembly::sorted_rows::Duplicates;
use crate::csr::matrix::CsrMatrix;
use crate::error::Result;
use crate::graph::Renumbering;
use crate::index::at;
use crate::profile;
use crate::scalar::Scalar;

impl<T: Scalar> CsrMatrix<T> {
    /// Computes the matrix `P A Q^T` with its rows renumbered by `rows`, its columns by `columns`. A square
    /// matrix usually takes the same renumbering twice.
    ///
    /// The new rows are summed in the order of the new columns, so that a product is the old one
    /// within rounding, not to the bit.
    ///
    /// # Collective
    /// Ghost columns are asked for their new numbers; entries of rows that change their owner are
    /// sent, 16 bytes and a value each.
    ///
    /// # Errors
    /// [`LayoutMismatch`](crate::Error::LayoutMismatch) if the matrix does not have the old layouts,
    /// and as [`CsrBuilder::build`].
    pub fn renumbered(&self, rows: &Renumbering, columns: &Renumbering) -> Result<CsrMatrix<T>> {
        rows.from().require_same(&self.shape.range, "renumbering of rows")?;
        columns.from().require_same(&self.shape.domain, "renumbering of columns")?;
        let _event = profile::operation("MatPermute");
        let own = columns.new_ids();
        let ghosts = self.shape.plan.start_import(own, 1).finish();
        let mut builder = CsrBuilder::new(rows.to(), columns.to(), Duplicates::Add);
        builder.reserve(self.local_entries());
        for (row, &new_row) in rows.new_ids().iter().enumerate() {
            let (numbers, values) = self.local.row(row);
            for (number, &value) in numbers.iter().map(|&number| at(number)).zip(values) {
                let column = if number < own.len() { own[number] } else { ghosts[number - own.len()] };
                builder.push(new_row, column, value);
            }
        }
        builder.build()
    }
}
