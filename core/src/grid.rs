//! `Grid`: a structured grid in one to three dimensions, whose nodes are spread over the ranks in boxes.
//!
//! Each rank owns a box of nodes. Its unknowns are numbered one after the other, along the first axis first and the
//! unknowns of a node together, and the boxes of ranks follow each other: the *distributed* order, that of vectors and
//! matrices. In *natural* order the whole grid is numbered along the first axis first, on any number of ranks, as files and
//! plots want it. Where all boxes are slabs along the last axis the two are the same, and then products with matrices
//! have the same bits on any number of ranks: grids are cut so unless another cut is asked for.

mod boxes;
mod ghosted;

use std::ops::Range;

use crate::comm::Comm;
use crate::csr::{CsrMatrix, RowBuilder};
use crate::error::Result;
use crate::exchange::{Combine, Scatter};
use crate::index::{Gid, local};
use crate::layout::Layout;
use crate::scalar::Scalar;
use crate::vector::Vector;

use boxes::Boxes;
pub use ghosted::Ghosted;

/// Cut of a grid into boxes, one for each rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// Slabs along the last axis.
    #[default]
    Slabs,
    /// Boxes with the least surface, so that the fewest ghosts travel.
    Boxes,
    /// Numbers of boxes along each axis; those of axes that the grid has not are one.
    Given([usize; 3]),
}

/// Neighbors of a node whose values a stencil reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stencil {
    /// Along the axes only.
    #[default]
    Star,
    /// In a box around the node, corners included.
    Box,
}

/// Settings of a [`Grid`]: see [`Grid::new`].
#[derive(Clone, Debug)]
pub struct GridSettings {
    /// Unknowns of a node.
    pub dofs: usize,
    /// Neighbors on each side that a stencil reads.
    pub width: u64,
    /// Form of the stencil.
    pub stencil: Stencil,
    /// For each axis, true if the last node is beside the first.
    pub periodic: [bool; 3],
    /// The cut into boxes.
    pub cut: Cut,
}

impl Default for GridSettings {
    /// Returns one unknown a node, a star of width one, no periodic axis, and slabs.
    fn default() -> GridSettings {
        GridSettings { dofs: 1, width: 1, stencil: Stencil::Star, periodic: [false; 3], cut: Cut::Slabs }
    }
}

/// A structured grid: which rank owns which nodes, the layout of its vectors, and the numbers of unknowns.
#[derive(Clone, Debug)]
pub struct Grid {
    boxes: Boxes,
    settings: GridSettings,
    /// A row for each node.
    nodes: Layout,
    /// A row for each unknown.
    layout: Layout,
}

impl Grid {
    /// Spreads a grid of one to three axes with these numbers of nodes over the ranks.
    ///
    /// # Collective
    /// All ranks give the same.
    ///
    /// # Errors
    /// [`Error::Grid`](crate::Error::Grid) if there is no axis or there are more than three, an axis has no node, a node no unknown, a
    /// periodic axis fewer nodes than the stencil is wide, or a given cut not as many boxes as there are ranks;
    /// [`Error::RanksDisagree`](crate::Error::RanksDisagree).
    pub fn new(comm: &Comm, nodes: &[u64], settings: GridSettings) -> Result<Grid> {
        comm.compare(|| format!("grid of {nodes:?} nodes\n{settings:?}"));
        let boxes = comm.agree(Boxes::new(nodes, &settings, comm.size()))?;
        let layout = Layout::from_local_len(comm, local(boxes.count(comm.rank())))?;
        Ok(Grid { boxes, nodes: layout.clone(), layout: layout.refined(settings.dofs)?, settings })
    }

    /// Returns the layout of vectors with an entry for each unknown.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the settings.
    pub fn settings(&self) -> &GridSettings {
        &self.settings
    }

    /// Returns the numbers of nodes along the axes; one along an axis that the grid has not.
    pub fn nodes(&self) -> [u64; 3] {
        self.boxes.nodes()
    }

    /// Returns the numbers of boxes along the axes.
    pub fn processes(&self) -> [usize; 3] {
        self.boxes.processes()
    }

    /// Returns the nodes of this rank's box, along each axis.
    pub fn owned(&self) -> [Range<u64>; 3] {
        self.boxes.of_rank(self.layout.comm().rank())
    }

    /// Returns this rank's nodes in the order in which it stores them.
    pub fn owned_nodes(&self) -> impl Iterator<Item = [u64; 3]> + use<> {
        let [x, y, z] = self.owned();
        z.flat_map(move |k| {
            let x = x.clone();
            y.clone().flat_map(move |j| x.clone().map(move |i| [i, j, k]))
        })
    }

    /// Returns the node at a place, whose coordinates may be outside along periodic axes; `None` where there is none.
    pub fn node(&self, place: [i64; 3]) -> Option<[u64; 3]> {
        self.boxes.node(place, self.settings.periodic)
    }

    /// Returns the global row of an unknown of a node; `None` past the last node or unknown.
    pub fn row(&self, node: [u64; 3], dof: usize) -> Option<Gid> {
        let (rank, position) = self.boxes.find(node)?;
        let first = self.nodes.blocks().range(rank).start;
        (dof < self.settings.dofs).then(|| (first + position) * self.settings.dofs as u64 + dof as u64)
    }

    /// Returns the row of an unknown in natural order; `None` past the last node or unknown.
    pub fn natural_row(&self, node: [u64; 3], dof: usize) -> Option<Gid> {
        let natural = self.boxes.natural(node)?;
        (dof < self.settings.dofs).then(|| natural * self.settings.dofs as u64 + dof as u64)
    }

    /// Creates a vector from a function of the node and the number of the unknown in it.
    pub fn vector<T: Scalar>(&self, mut entry: impl FnMut([u64; 3], usize) -> T) -> Vector<T> {
        let mut vector = Vector::zeros(&self.layout);
        for (entries, node) in vector.owned_mut().chunks_exact_mut(self.settings.dofs).zip(self.owned_nodes()) {
            entries.iter_mut().enumerate().for_each(|(dof, value)| *value = entry(node, dof));
        }
        vector
    }

    /// Creates a matrix row by row: `row(node, dof, entries)` gives the entries of the equation of each own unknown by
    /// their offsets from the node.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`CsrMatrix::from_rows`].
    pub fn matrix<T: Scalar>(
        &self,
        mut row: impl FnMut([u64; 3], usize, &mut StencilRow<'_, '_, T>),
    ) -> Result<CsrMatrix<T>> {
        let (mut nodes, mut dof) = (self.owned_nodes(), 0);
        let mut node = nodes.next().unwrap_or_default();
        CsrMatrix::from_rows(&self.layout, &self.layout, |_, entries| {
            row(node, dof, &mut StencilRow { grid: self, node, entries });
            dof += 1;
            if dof == self.settings.dofs {
                (dof, node) = (0, nodes.next().unwrap_or_default());
            }
        })
    }

    /// Plans the exchange of the nodes around each rank's box.
    ///
    /// # Collective
    ///
    /// # Errors
    /// More than 2^32 - 1 nodes on one rank.
    pub fn ghosted(&self) -> Result<Ghosted> {
        Ghosted::new(self)
    }

    /// Plans the moves between distributed and natural order.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`Scatter::new`].
    pub fn natural_order(&self) -> Result<NaturalOrder> {
        let natural = Layout::uniform(self.layout.comm(), self.layout.global_len());
        let dofs = 0..self.settings.dofs;
        let rows = self.owned_nodes().flat_map(|node| dofs.clone().map(move |dof| (node, dof)));
        let to: Vec<Gid> = rows.filter_map(|(node, dof)| self.natural_row(node, dof)).collect();
        let from: Vec<Gid> = self.layout.range().collect();
        let forward = Scatter::new(&self.layout, &from, &natural, &to)?;
        let backward = Scatter::new(&natural, &to, &self.layout, &from)?;
        Ok(NaturalOrder { forward, backward })
    }

    /// Returns the layout with a row for each node.
    fn node_layout(&self) -> &Layout {
        &self.nodes
    }
}

/// Takes the entries of an equation of a node; see [`Grid::matrix`].
pub struct StencilRow<'g, 'r, T> {
    grid: &'g Grid,
    node: [u64; 3],
    entries: &'g mut RowBuilder<'r, T>,
}

impl<T: Scalar> StencilRow<'_, '_, T> {
    /// Adds an entry for an unknown of the node at an offset, and returns true; returns false where there is no such
    /// node or unknown. Entries of the same unknown are summed.
    pub fn push(&mut self, offset: [i64; 3], dof: usize, value: T) -> bool {
        let place = std::array::from_fn(|axis| i64::try_from(self.node[axis]).unwrap_or(i64::MAX) + offset[axis]);
        let row = self.grid.node(place).and_then(|node| self.grid.row(node, dof));
        row.inspect(|&row| self.entries.push(row, value)).is_some()
    }
}

/// Plans between the distributed and the natural order of a [`Grid`].
pub struct NaturalOrder {
    forward: Scatter,
    backward: Scatter,
}

impl NaturalOrder {
    /// Returns the layout of vectors in natural order, which is an even one.
    pub fn layout(&self) -> &Layout {
        self.forward.target()
    }

    /// Returns a vector of the grid in natural order.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`](crate::Error::LayoutMismatch).
    pub fn to_natural<T: Scalar>(&self, x: &Vector<T>) -> Result<Vector<T>> {
        let mut natural = Vector::zeros(self.layout());
        self.forward.apply(x, Combine::Insert, &mut natural)?;
        Ok(natural)
    }

    /// Returns a vector in natural order as one of the grid.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`](crate::Error::LayoutMismatch).
    pub fn to_distributed<T: Scalar>(&self, natural: &Vector<T>) -> Result<Vector<T>> {
        let mut x = Vector::zeros(self.backward.target());
        self.backward.apply(natural, Combine::Insert, &mut x)?;
        Ok(x)
    }
}
