//! Rows of a product that are alike: the places of all summands are found once for many rows.
//!
//! If rows of the left factor, and the rows of the right one that they name, are shifted by one
//! from row to row, so are the rows of the product. For the first of them each summand gets
//! its column; the other rows repeat that with their own values. Per row this costs one product and
//! one sum for each summand, without looking at a column.

use std::ops::Range;

use crate::csr::assembly::sorted_rows::Rows;
use crate::csr::kernels::LocalCsr;
use crate::csr::product::factor::Factor;
use crate::index::{Lid, at, to_lid};
use crate::memory;
use crate::scalar::Scalar;

/// Fewer rows than these are not worth a stencil.
const MIN_ROWS: usize = 4;

/// Relation between the rows of a product in a [`Segment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not at all.
    Any,
    /// Each has the columns of the one above plus one, all of them owned.
    Shifted,
    /// Shifted, and both factors repeat their values.
    Uniform,
}

/// Consecutive rows of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) rows: Range<usize>,
    pub(super) kind: Kind,
}

/// Splits the rows of a product; those of a `result` that is there already have to be alike too.
pub(super) fn segments<T: Scalar>(
    left: &LocalCsr<T>,
    right: &Factor<'_, T>,
    result: Option<&LocalCsr<T>>,
) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut row = 0;
    while row < left.rows() {
        let (mut count, mut uniform) = left.alike(row);
        if let Some(result) = result {
            count = count.min(result.alike(row).0);
        }
        for &inner in left.row(row).0 {
            if count < MIN_ROWS {
                break;
            }
            let (rows, same) = right.own().alike(at(inner));
            (count, uniform) = (count.min(rows), uniform && same);
        }
        let kind = match uniform {
            _ if count < MIN_ROWS => Kind::Any,
            true => Kind::Uniform,
            false => Kind::Shifted,
        };
        // The last rows of a run are too few as well, so all of them are taken at once.
        match segments.last_mut() {
            Some(last) if kind == Kind::Any && last.kind == kind => last.rows.end = row + count,
            _ => segments.push(Segment { rows: row..row + count, kind }),
        }
        row += count;
    }
    segments
}

/// Destination of each summand of a row.
#[derive(Default)]
pub(super) struct Stencil<T> {
    /// Columns of the first row, ascending.
    columns: Vec<Lid>,
    /// Column `j` is the sum of products `sources[starts[j]..starts[j + 1]]`.
    starts: Vec<usize>,
    sources: Vec<usize>,
    found: Vec<(Lid, usize)>,
    products: Vec<T>,
}

impl<T: Scalar> Stencil<T> {
    /// Finds the stencil of rows whose first one has these columns in the left factor.
    pub(super) fn find(&mut self, left: &[Lid], right: &LocalCsr<T>) {
        self.found.clear();
        let summands = left.iter().flat_map(|&inner| right.row(at(inner)).0);
        self.found.extend(summands.enumerate().map(|(product, &column)| (column, product)));
        // Products of one column stay in ascending order of the inner index.
        self.found.sort_unstable();
        self.columns.clear();
        self.starts.clear();
        self.sources.clear();
        for group in self.found.chunk_by(|one, other| one.0 == other.0) {
            self.columns.push(group[0].0);
            self.starts.push(self.sources.len());
            self.sources.extend(group.iter().map(|&(_, product)| product));
        }
        self.starts.push(self.sources.len());
        self.products.clear();
        self.products.resize(self.sources.len(), T::ZERO);
    }

    /// Columns of the first row.
    pub(super) fn columns(&self) -> &[Lid] {
        &self.columns
    }

    /// Appends the rows of a segment.
    pub(super) fn append(&mut self, segment: &Segment, left: &LocalCsr<T>, right: &LocalCsr<T>, product: &mut Rows<T>) {
        let (count, width) = (segment.rows.len(), self.columns.len());
        memory::reserve(&mut product.columns, count * width);
        memory::reserve(&mut product.values, count * width);
        let last = to_lid("rows", count).expect("invariant: rows were counted");
        for step in 0..last {
            product.columns.extend(self.columns.iter().map(|&column| column + step));
            product.starts.push(product.columns.len());
        }
        let first = product.values.len();
        product.values.resize(first + count * width, T::ZERO);
        self.fill(segment, left, right, &mut product.values[first..]);
    }

    /// Computes the values of a segment's rows.
    pub(super) fn fill(&mut self, segment: &Segment, left: &LocalCsr<T>, right: &LocalCsr<T>, values: &mut [T]) {
        let width = self.columns.len();
        if width == 0 {
            return;
        }
        let (first, others) = values.split_at_mut(width);
        self.fill_row(segment.rows.start, left, right, first);
        for (row, values) in (segment.rows.start + 1..).zip(others.chunks_exact_mut(width)) {
            match segment.kind {
                Kind::Uniform => values.copy_from_slice(first),
                _ => self.fill_row(row, left, right, values),
            }
        }
    }

    #[inline]
    fn fill_row(&mut self, row: usize, left: &LocalCsr<T>, right: &LocalCsr<T>, values: &mut [T]) {
        let (inner, weights) = left.row(row);
        let mut rest = &mut self.products[..];
        for (&inner, &weight) in inner.iter().zip(weights) {
            let entries = right.row(at(inner)).1;
            let (products, after) = rest.split_at_mut(entries.len());
            products.iter_mut().zip(entries).for_each(|(product, &entry)| *product = weight * entry);
            rest = after;
        }
        for (value, bounds) in values.iter_mut().zip(self.starts.windows(2)) {
            let sources = &self.sources[bounds[0]..bounds[1]];
            *value = sources.iter().fold(T::ZERO, |sum, &source| sum + self.products[source]);
        }
    }
}
