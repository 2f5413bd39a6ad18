//! A picture of where the entries of a matrix are.
//!
//! The matrix is cut into square cells, at most [`MOST`] along its longer side, and the entries of
//! each are counted on all ranks. Where a cell is one entry, entries are black; otherwise the
//! color tells what share of the cell is stored, from the least share to the greatest in steps of
//! equal ratio, as a bar below says.

use dolmen_common::picture::{Align, Canvas, Font, INK, Limits, Palette, Range, Rgb, label};
use dolmen_core::{CsrMatrix, LinearOperator, Scalar};

/// Cells along the longer side, and points of the picture.
const MOST: u64 = 800;
/// Least width of the picture between its margins, in points: that of its text.
const LEAST: usize = 560;
const MARGIN: usize = 24;
/// Height of the bar of colors.
const BAR: usize = 18;
/// The palette begins with the darkest color, for the fullest cells, and this share of it is used, since the
/// rest is too light on white.
const DARKEST: f64 = 0.85;

/// Entries in the cells of a matrix.
pub(crate) struct Spy {
    size: [u64; 2],
    /// Rows and columns of a cell.
    side: u64,
    /// Cells from above and from the left.
    cells: [usize; 2],
    counts: Vec<u64>,
}

impl Spy {
    /// Counts the entries.
    ///
    /// # Collective
    pub(crate) fn new<T: Scalar>(a: &CsrMatrix<T>) -> Spy {
        let size = [a.range().global_len(), a.domain().global_len()];
        let side = size[0].max(size[1]).div_ceil(MOST).max(1);
        let cells = size.map(|length| cell(length.div_ceil(side)));
        let mut counts = vec![0; cells[0] * cells[1]];
        for row in a.rows() {
            let first = cell(row.index() / side) * cells[1];
            row.columns().for_each(|column| counts[first + cell(column / side)] += 1);
        }
        a.range().comm().all_reduce_sum(&mut counts);
        Spy { size, side, cells, counts }
    }

    /// Returns the share of a cell that is stored, NaN where nothing is.
    fn share(&self, row: usize, column: usize) -> f64 {
        let count = self.counts[row * self.cells[1] + column];
        let extent = |cell: usize, length: u64| (length - cell as u64 * self.side).min(self.side) as f64;
        let area = extent(row, self.size[0]) * extent(column, self.size[1]);
        if count > 0 { count as f64 / area } else { f64::NAN }
    }

    /// Returns the picture as a PNG file, with the name of the matrix and the number of its entries.
    pub(crate) fn picture(&self, name: &str, entries: u64) -> Vec<u8> {
        let zoom = (cell(MOST) / self.cells[0].max(self.cells[1]).max(1)).max(1);
        let [height, width] = self.cells.map(|cells| cells * zoom);
        let (title, font) = (Font::at_most(24), Font::at_most(16));
        let top = MARGIN + title.height() + font.height() + MARGIN / 2;
        let below = if self.side > 1 { MARGIN + BAR + 2 * font.height() } else { 0 };
        let full = width.max(LEAST) + 2 * MARGIN;
        let mut canvas = Canvas::new(full, top + height + below + MARGIN);
        canvas.text(full / 2, MARGIN / 2, Align::Center, title, INK, name);
        let facts = format!("{} \u{d7} {}, {entries} entries", self.size[0], self.size[1]);
        canvas.text(full / 2, MARGIN / 2 + title.height(), Align::Center, font, INK, &facts);
        let left = (full - width) / 2;
        frame(&mut canvas, [left, top], [width, height]);
        let limits = self.limits();
        for row in 0..self.cells[0] {
            for column in 0..self.cells[1] {
                if let Some(fraction) = limits.and_then(|limits| limits.fraction(self.share(row, column))) {
                    let color = if self.side > 1 { color(fraction) } else { INK };
                    canvas.fill([left + column * zoom, top + row * zoom], [zoom, zoom], |_| color);
                }
            }
        }
        if let (Some(limits), true) = (limits, self.side > 1) {
            self.bar(&mut canvas, limits, [(full - LEAST) / 2, top + height + MARGIN / 2], font);
        }
        canvas.into_png()
    }

    fn limits(&self) -> Option<Limits> {
        let columns = 0..self.cells[1];
        let shares = (0..self.cells[0]).flat_map(|row| columns.clone().map(move |column| self.share(row, column)));
        Range::Logarithmic.limits(&shares.collect::<Vec<f64>>())
    }

    fn bar(&self, canvas: &mut Canvas, limits: Limits, [left, top]: [usize; 2], font: Font) {
        let (start, length) = (left + LEAST / 5, LEAST - 2 * (LEAST / 5));
        frame(canvas, [start, top], [length, BAR]);
        canvas.fill([start, top], [length, BAR], |column| color(column as f64 / (length - 1) as f64));
        let [min, max] = [limits.min, limits.max].map(|share| format!("{} %", label(100.0 * share)));
        canvas.text(start - MARGIN / 2, top, Align::Right, font, INK, &min);
        canvas.text(start + length + MARGIN / 2, top, Align::Left, font, INK, &max);
        let caption = format!("stored, of each cell of {0} \u{d7} {0}", self.side);
        canvas.text(left + LEAST / 2, top + BAR + MARGIN / 4, Align::Center, font, INK, &caption);
    }
}

/// Returns a number of cells, of which there are few.
fn cell(number: u64) -> usize {
    usize::try_from(number).expect("invariant: the number of cells is bounded")
}

/// Returns the color of a cell, from the emptiest at 0 to the fullest at 1.
fn color(fraction: f64) -> Rgb {
    Palette::Sequential.color(DARKEST * (1.0 - fraction))
}

/// A line around a box.
fn frame(canvas: &mut Canvas, [left, top]: [usize; 2], [width, height]: [usize; 2]) {
    canvas.fill([left - 1, top - 1], [width + 2, height + 2], |_| INK);
    canvas.fill([left, top], [width, height], |_| [255; 3]);
}
