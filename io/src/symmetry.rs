//! Files that store one triangle of a matrix.

use crate::error::Result;
use crate::fault::Fault;
use crate::files::Symmetry;
use dolmen_core::text::shown;
use dolmen_core::{Comm, CsrBuilder, Scalar};
use std::cmp::Ordering;
use std::path::Path;

/// Adds an entry and its mirror image.
#[inline]
pub(crate) fn push<T: Scalar>(to: &mut CsrBuilder<T>, symmetry: Symmetry, row: u64, column: u64, value: T) {
    to.push(row, column, value);
    if row != column && symmetry != Symmetry::General {
        to.push(column, row, symmetry.mirrored(value));
    }
}

/// The row and the column of an entry, from 0.
type Place = (u64, u64);

/// No entry.
const NOWHERE: Place = (u64::MAX, u64::MAX);

/// The sides of the diagonal on which a file has entries.
///
/// The formats have the lower triangle. A file of the upper one says the same, and is read with a warning. Where there
/// are entries on both sides, an entry may be the mirror image of another, and would then count twice.
#[derive(Clone, Debug)]
pub(crate) struct Triangles {
    symmetry: Symmetry,
    /// The first entry below the diagonal, by its row and column.
    lower: Place,
    upper: Place,
    /// The first nonzero entry on the diagonal of a skew-symmetric matrix.
    diagonal: Place,
}

impl Triangles {
    pub(crate) fn new(symmetry: Symmetry) -> Triangles {
        Triangles { symmetry, lower: NOWHERE, upper: NOWHERE, diagonal: NOWHERE }
    }

    /// Notes an entry; refuses one on the diagonal of a Hermitian matrix that is not real.
    #[inline]
    pub(crate) fn note(&mut self, row: u64, column: u64, (re, im): (f64, f64)) -> Result<(), String> {
        if self.symmetry == Symmetry::General {
            return Ok(());
        }
        let place = (row, column);
        match column.cmp(&row) {
            Ordering::Less => self.lower = self.lower.min(place),
            Ordering::Greater => self.upper = self.upper.min(place),
            Ordering::Equal if self.symmetry == Symmetry::SkewSymmetric && (re != 0.0 || im != 0.0) => {
                self.diagonal = self.diagonal.min(place);
            }
            Ordering::Equal if self.symmetry == Symmetry::Hermitian && im != 0.0 => {
                return Err(format!(
                    "entry {} is not real, but the diagonal of a Hermitian matrix is",
                    shown_place(place)
                ));
            }
            Ordering::Equal => {}
        }
        Ok(())
    }

    /// Refuses entries on both sides of the diagonal, and warns of what the format does not have.
    ///
    /// # Collective
    pub(crate) fn settle(&self, comm: &Comm, path: &Path) -> Result<()> {
        if self.symmetry == Symmetry::General {
            return Ok(());
        }
        let all = comm.all_gather([self.lower, self.upper, self.diagonal].map(|(row, column)| [row, column]));
        let first = |kind: usize| all.iter().map(|places| (places[kind][0], places[kind][1])).min();
        let [lower, upper, diagonal] = [0, 1, 2].map(|kind| first(kind).filter(|place| *place != NOWHERE));
        let symmetry = self.symmetry;
        if let (Some(lower), Some(upper)) = (lower, upper) {
            let places = format!("entries {} and {}", shown_place(lower), shown_place(upper));
            let what = format!(
                "are on both sides of the diagonal; a {symmetry} file stores one side, and mirror images of entries \
                 would count twice"
            );
            return Err(Fault::new(places, what).of(path));
        }
        if upper.is_some() && comm.rank() == 0 {
            tracing::warn!("{}: stores the upper triangle of a {symmetry} matrix, not the lower one", shown(path));
        }
        if let (Some(place), 0) = (diagonal, comm.rank()) {
            let (path, place) = (shown(path), shown_place(place));
            tracing::warn!("{path}: entry {place} is on the diagonal, where a {symmetry} matrix is zero; it is kept");
        }
        Ok(())
    }
}

/// Indices are shown from 1, as files have them.
fn shown_place((row, column): Place) -> String {
    format!("({}, {})", row + 1, column + 1)
}
