//! The problem: the 7-point Laplacian on a grid that is cut into columns of full height.
//!
//! Ranks form a rectangle in x and y, and each numbers its own points, so that a rank has at most four neighbors,
//! and from 16 ranks on at least one has four.

use dolmen_core::{Blocks, Layout};

/// Points in z, and in x and y of each rank where the problem grows with the ranks.
const SIDE: u64 = 16;
/// Points in x and y of the problem of a fixed size. No rank's share is a multiple of the blocks of sums.
const FIXED: u64 = 60;

/// A grid and the ranks that share it.
pub(crate) struct Grid {
    /// `weak` or `strong`.
    pub(crate) name: &'static str,
    x: Blocks,
    y: Blocks,
}

/// A part of the grid.
struct Part {
    /// First point in x and y, and the numbers of points.
    first: [u64; 2],
    size: [u64; 2],
}

impl Grid {
    /// Creates a grid of a fixed size a rank.
    pub(crate) fn weak(ranks: usize) -> Grid {
        let [x, y] = sides(ranks);
        Grid { name: "weak", x: Blocks::uniform(SIDE * x as u64, x), y: Blocks::uniform(SIDE * y as u64, y) }
    }

    /// Creates a grid of a fixed size.
    pub(crate) fn strong(ranks: usize) -> Grid {
        let [x, y] = sides(ranks);
        Grid { name: "strong", x: Blocks::uniform(FIXED, x), y: Blocks::uniform(FIXED, y) }
    }

    /// Returns the number of points.
    pub(crate) fn len(&self) -> u64 {
        self.x.len() * self.y.len() * SIDE
    }

    fn part(&self, rank: usize) -> Part {
        let (x, y) = (self.x.range(rank % self.x.ranks()), self.y.range(rank / self.x.ranks()));
        Part { first: [x.start, y.start], size: [x.end - x.start, y.end - y.start] }
    }

    /// Returns the number of points of a rank.
    pub(crate) fn len_of(&self, rank: usize) -> usize {
        usize::try_from(self.part(rank).size.iter().product::<u64>() * SIDE).expect("invariant: a small grid")
    }

    /// Returns the rank to the right, around the end.
    pub(crate) fn right_of(&self, rank: usize) -> usize {
        let columns = self.x.ranks();
        rank / columns * columns + (rank + 1) % columns
    }

    /// Returns the row of a point.
    fn row(&self, layout: &Layout, [x, y, z]: [u64; 3]) -> u64 {
        let owner = |blocks: &Blocks, at| blocks.owner(at).expect("invariant: a point of the grid");
        let rank = owner(&self.x, x) + self.x.ranks() * owner(&self.y, y);
        let Part { first, size } = self.part(rank);
        layout.blocks().range(rank).start + (x - first[0]) + size[0] * ((y - first[1]) + size[1] * z)
    }

    /// Gives all entries of a rank's rows: row, column, value.
    pub(crate) fn entries(&self, layout: &Layout, rank: usize, mut entry: impl FnMut(u64, u64, f64)) {
        let Part { first, size } = self.part(rank);
        let bounds = [self.x.len(), self.y.len(), SIDE];
        for z in 0..SIDE {
            for y in first[1]..first[1] + size[1] {
                for x in first[0]..first[0] + size[0] {
                    let (point, row) = ([x, y, z], self.row(layout, [x, y, z]));
                    entry(row, row, 6.0);
                    for (axis, step) in [(0, 1), (1, 1), (2, 1), (0, u64::MAX), (1, u64::MAX), (2, u64::MAX)] {
                        let mut other = point;
                        other[axis] = other[axis].wrapping_add(step);
                        if other[axis] < bounds[axis] {
                            entry(row, self.row(layout, other), -1.0);
                        }
                    }
                }
            }
        }
    }
}

/// Returns the sides of a rectangle of ranks, as square as their number allows.
fn sides(ranks: usize) -> [usize; 2] {
    let y = (1..=ranks).take_while(|side| side * side <= ranks).filter(|side| ranks.is_multiple_of(*side));
    let y = y.last().expect("invariant: there is a rank");
    [ranks / y, y]
}
