//! Rigid-body modes: displacements and rotations, which elastic bodies resist only where they are held.

use dolmen_core::{MultiVector, Scalar};

use crate::error::Result;
use crate::multigrid::near_null_space::require_finite;
use crate::settings::require;

const METHOD: &str = "rigid-body modes";

/// Computes the rigid-body modes of an elastic body from the coordinates of its nodes, which are the columns of
/// `coordinates`: three modes in the plane, two displacements and a rotation, and six in space, three of each.
///
/// The rows of the modes are the displacements of the nodes, those of one node after the other: in space, row `3 i + k` is
/// along axis `k` at node `i`. Their layout is that of the nodes, [`refined`](dolmen_core::Layout::refined) by the number of
/// axes; build the matrix of stiffness on it. Rotations are about the center of the box around the nodes, and coordinates
/// are divided by half its longest side. [`Multigrid::with_near_null_space`](crate::Multigrid::with_near_null_space) takes
/// the modes.
///
/// # Collective
/// Two reductions.
///
/// # Errors
/// [`Error::Setting`](crate::Error::Setting) if there are not two or three columns, and
/// [`Error::NotFinite`](crate::Error::NotFinite); the same on all ranks.
pub fn rigid_body_modes<T: Scalar>(coordinates: &MultiVector<f64>) -> Result<MultiVector<T>> {
    let (nodes, axes) = (coordinates.layout(), coordinates.columns());
    nodes.comm().compare(|| format!("columns of coordinates {axes}"));
    let planar_or_spatial = require(METHOD, "number of coordinates", axes as f64, axes == 2 || axes == 3, "2 or 3");
    nodes.comm().agree(planar_or_spatial.and_then(|()| require_finite(METHOD, "coordinate", coordinates)))?;
    let near_one = centered(coordinates);
    let mut modes = MultiVector::zeros(&nodes.refined(axes)?, if axes == 2 { 3 } else { 6 });
    for axis in 0..axes {
        modes.column_mut(axis).iter_mut().skip(axis).step_by(axes).for_each(|entry| *entry = T::ONE);
    }
    // Rotations in the planes of two axes.
    let planes: &[[usize; 2]] = if axes == 2 { &[[0, 1]] } else { &[[0, 1], [1, 2], [2, 0]] };
    for (column, &[one, other]) in (axes..).zip(planes) {
        let displacements = modes.column_mut(column).chunks_exact_mut(axes);
        for (place, displacement) in displacements.enumerate() {
            displacement[one] = T::from_parts(-near_one[other][place], 0.0);
            displacement[other] = T::from_parts(near_one[one][place], 0.0);
        }
    }
    Ok(modes)
}

/// Returns the coordinates of this rank's nodes from the center of the box around all nodes, in units of half its longest
/// side.
///
/// # Collective
fn centered(coordinates: &MultiVector<f64>) -> Vec<Vec<f64>> {
    let axes = coordinates.columns();
    let mut upper = vec![f64::NEG_INFINITY; 2 * axes];
    for axis in 0..axes {
        for &at in coordinates.column(axis) {
            upper[axis] = upper[axis].max(at);
            upper[axes + axis] = upper[axes + axis].max(-at);
        }
    }
    coordinates.comm().all_reduce_max(&mut upper);
    // Halves, so that their difference does not overflow.
    let halves = |axis: usize| [upper[axis] / 2.0, -upper[axes + axis] / 2.0];
    let longest = (0..axes).map(|axis| halves(axis)[0] - halves(axis)[1]).fold(0.0, f64::max);
    let unit = if longest > 0.0 { longest } else { 1.0 };
    let of_axis = |axis: usize| {
        let center = halves(axis)[0] + halves(axis)[1];
        coordinates.column(axis).iter().map(|at| (at - center) / unit).collect()
    };
    (0..axes).map(of_axis).collect()
}
