//! `Renumbering`: new global numbers for the rows of a layout, on a layout of their own.
//!
//! A [`Redistribute`](crate::Redistribute) moves contiguous blocks and every rank computes its
//! messages by itself. Under a permutation a rank's new rows come from anywhere, so it is told once
//! which old rows they are, and asks their owners for them along an [`ExchangePlan`]: an import moves
//! a vector to the new layout, the export of the same plan moves it back.

use crate::error::{Error, Result};
use crate::exchange::{Combine, ExchangePlan};
use crate::graph::adjacency::Graph;
use crate::index::{Gid, Lid, at, local, to_lid};
use crate::index_map::IndexMap;
use crate::layout::{Blocks, Layout};
use crate::multi_vector::MultiVector;
use crate::scalar::Scalar;
use crate::vector::Vector;

/// A permutation of rows together with their distribution before and after.
///
/// Memory: 8 bytes for each row that a rank owns before, 16 for each that it owns after, and the
/// plan of the exchange.
pub struct Renumbering {
    from: Layout,
    to: Layout,
    new_ids: Box<[Gid]>,
    /// Imports the values of the old rows that this rank owns after, by ascending old id.
    plan: ExchangePlan,
    /// The new local position of each of them.
    positions: Box<[Lid]>,
}

impl Renumbering {
    /// Creates a renumbering: row `i` of this rank's block of `from` gets the global number `new_ids[i]`, a row of
    /// `to`. The two layouts have the same length; together the ranks name every new row once.
    ///
    /// # Collective
    /// Two sparse exchanges of 16 and 8 bytes a row.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] for layouts of different lengths or communicators,
    /// [`Error::StackedLayout`], [`Error::LocalLength`] if there is not one number for each owned row,
    /// [`Error::IndexOutOfRange`] past the end of `to`, [`Error::NotAPermutation`]; all but the first two
    /// agreed over the ranks.
    pub fn new(from: &Layout, to: &Layout, new_ids: Vec<Gid>) -> Result<Renumbering> {
        if from.comm() != to.comm() || from.global_len() != to.global_len() {
            from.require_same(to, "renumbering")?;
        }
        from.require_contiguous("renumbering")?;
        to.require_contiguous("renumbering")?;
        let comm = from.comm();
        let messages = comm.agree(to_owners(from, to.blocks(), &new_ids))?;
        let received = comm.sparse_exchange(&messages);
        let moves = received.into_iter().flat_map(|(_, moves)| moves).collect();
        let (old_ids, positions) = comm.agree(arrivals(&to.range(), moves))?;
        let map = comm.agree(IndexMap::new(old_ids))?;
        let plan = ExchangePlan::new(from, &map)?;
        Ok(Renumbering { from: from.clone(), to: to.clone(), new_ids: new_ids.into(), plan, positions })
    }

    /// Returns the layout of the old numbers.
    pub fn from(&self) -> &Layout {
        &self.from
    }

    /// Returns the layout of the new numbers.
    pub fn to(&self) -> &Layout {
        &self.to
    }

    /// Returns the new global ids of the rows that this rank owns before.
    pub fn new_ids(&self) -> &[Gid] {
        &self.new_ids
    }

    /// Copies `x`, in the old numbers, to `y`, in the new ones.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn apply<T: Scalar>(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.check(x.layout(), y.layout())?;
        self.import(&[x.owned()], y.owned_mut());
        Ok(())
    }

    /// Copies `y`, in the new numbers, back to `x`, in the old ones.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn apply_reverse<T: Scalar>(&self, y: &Vector<T>, x: &mut Vector<T>) -> Result<()> {
        self.check(x.layout(), y.layout())?;
        self.export(&[y.owned()], x.owned_mut());
        Ok(())
    }

    /// Works like [`Renumbering::apply`] for all columns at once.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], or [`Error::Shape`] if the numbers of columns differ.
    pub fn apply_columns<T: Scalar>(&self, x: &MultiVector<T>, y: &mut MultiVector<T>) -> Result<()> {
        self.check(x.layout(), y.layout())?;
        y.require_columns(x.columns(), "renumbering")?;
        let columns: Vec<&[T]> = (0..x.columns()).map(|column| x.column(column)).collect();
        self.import(&columns, y.owned_mut());
        Ok(())
    }

    /// Works like [`Renumbering::apply_reverse`] for all columns at once.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], or [`Error::Shape`] if the numbers of columns differ.
    pub fn apply_columns_reverse<T: Scalar>(&self, y: &MultiVector<T>, x: &mut MultiVector<T>) -> Result<()> {
        self.check(x.layout(), y.layout())?;
        x.require_columns(y.columns(), "renumbering")?;
        let columns: Vec<&[T]> = (0..y.columns()).map(|column| y.column(column)).collect();
        self.export(&columns, x.owned_mut());
        Ok(())
    }

    /// Returns the graph in the new numbers. (A matrix: [`CsrMatrix::renumbered`](crate::CsrMatrix::renumbered).)
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], and as [`Graph::from_edges`].
    pub fn graph(&self, graph: &Graph) -> Result<Graph> {
        self.from.require_same(graph.layout(), "renumbering of a graph")?;
        let numbers = graph.with_ghosts(&self.new_ids);
        let edges = graph.local_edges().map(|(vertex, other)| (numbers[vertex], numbers[at(other)]));
        Graph::from_edges(&self.to, edges)
    }

    fn check(&self, x: &Layout, y: &Layout) -> Result<()> {
        self.from.require_same(x, "renumbering")?;
        self.to.require_same(y, "renumbering")
    }

    /// Moves old columns to new ones, which lie one after the other.
    fn import<T: Scalar>(&self, columns: &[&[T]], output: &mut [T]) {
        let imports: Vec<_> = columns.iter().map(|column| self.plan.start_import(column, 1)).collect();
        let rows = self.positions.len().max(1);
        for (import, column) in imports.into_iter().zip(output.chunks_exact_mut(rows)) {
            for (&value, &position) in import.finish().iter().zip(&self.positions) {
                column[at(position)] = value;
            }
        }
    }

    /// Moves new columns to old ones, which lie one after the other. Complex values travel as pairs,
    /// since an export combines numbers with an order.
    fn export<T: Scalar>(&self, columns: &[&[T]], output: &mut [T]) {
        let width = if T::COMPLEX { 2 } else { 1 };
        let sorted = |column: &&[T]| self.positions.iter().map(|&position| column[at(position)]).collect::<Vec<T>>();
        let start = |column| self.plan.start_export(T::parts(&sorted(column)), width);
        let exports: Vec<_> = columns.iter().map(start).collect();
        let rows = self.from.local_len().max(1);
        for (export, column) in exports.into_iter().zip(output.chunks_exact_mut(rows)) {
            export.finish(Combine::Insert, bytemuck::cast_slice_mut(column));
        }
    }
}

/// New and old id of each row, by the owner of the new one.
fn to_owners(from: &Layout, to: &Blocks, new_ids: &[Gid]) -> Result<Vec<(usize, Vec<[Gid; 2]>)>> {
    let (expected, found) = (from.local_len(), new_ids.len());
    if expected != found {
        return Err(Error::LocalLength { what: "new numbers of rows", expected, found });
    }
    let mut moves: Vec<[Gid; 2]> = new_ids.iter().zip(from.range()).map(|(&new, old)| [new, old]).collect();
    moves.sort_unstable();
    let owner = |&[new, _]: &[Gid; 2]| to.owner(new);
    let message = |moves: &[[Gid; 2]]| match owner(&moves[0]) {
        Some(owner) => Ok((owner, moves.to_vec())),
        None => Err(Error::IndexOutOfRange { what: "new number of a row", index: moves[0][0], bound: to.len() }),
    };
    moves.chunk_by(|one, other| owner(one) == owner(other)).map(message).collect()
}

/// From new and old ids of the new rows `own`: the old ids, ascending, and the new position of each.
fn arrivals(own: &std::ops::Range<Gid>, mut moves: Vec<[Gid; 2]>) -> Result<(Vec<Gid>, Box<[Lid]>)> {
    moves.sort_unstable();
    for (row, at) in own.clone().zip(0..) {
        let times = moves[at..].iter().take_while(|[new, _]| *new == row).count() as u64;
        if times != 1 {
            return Err(Error::NotAPermutation { row, times });
        }
    }
    moves.sort_unstable_by_key(|&[_, old]| old);
    let position = |&[new, _]: &[Gid; 2]| to_lid("rows after a renumbering", local(new - own.start));
    let positions = moves.iter().map(position).collect::<Result<_>>()?;
    Ok((moves.into_iter().map(|[_, old]| old).collect(), positions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_sorted_by_their_old_ids() {
        let (old_ids, positions) = arrivals(&(5..8), vec![[7, 1], [5, 9], [6, 0]]).unwrap();
        assert_eq!(old_ids, [0, 1, 9]);
        assert_eq!(*positions, [1, 2, 0]);
    }

    #[test]
    fn rows_that_do_not_come_once_are_named() {
        let refused = |moves| arrivals(&(5..8), moves).unwrap_err();
        assert_eq!(refused(vec![[7, 1], [5, 9], [5, 0]]), Error::NotAPermutation { row: 5, times: 2 });
        assert_eq!(refused(vec![[7, 1], [5, 9]]), Error::NotAPermutation { row: 6, times: 0 });
    }
}
