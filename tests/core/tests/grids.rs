//! Structured grids against functions of the node: ghosts, both orders, stencils, on any cut.

use std::process::ExitCode;

use dolmen_core::{Complex64, Cut, Grid, GridSettings, LinearOperator, Scalar, Stencil, Vector};
use dolmen_core_tests::{checksum, fails};
use dolmen_tests::{Checksums, Comm, TestResult, case, same_bits};

fn main() -> ExitCode {
    const RANKS: &[usize] = &[1, 2, 3, 4, 7];
    dolmen_tests::main(&[
        case("ghosts_f64", RANKS, ghosts::<f64>),
        case("ghosts_c64", RANKS, ghosts::<Complex64>),
        case("orders_f32", RANKS, orders::<f32>),
        case("orders_c64", RANKS, orders::<Complex64>),
        case("stencils", RANKS, stencils),
        case("mistakes", &[1, 2, 3], mistakes),
        same_bits("slabs_f64", RANKS, slabs),
    ])
}

fn value<T: Scalar>(node: [u64; 3], dof: usize) -> T {
    let number = node.iter().fold(dof as f64, |sum, &at| 17.0 * sum + at as f64);
    T::from_parts(number, -1.0 - number)
}

/// Grids of one to three axes in every cut, some with more ranks than nodes along an axis.
fn grids(comm: &Comm) -> TestResult<Vec<Grid>> {
    let mut grids = Vec::new();
    let periodic = |axes: [bool; 3]| GridSettings { periodic: axes, ..GridSettings::default() };
    for (nodes, settings) in [
        (&[11][..], periodic([true, false, false])),
        (&[3], GridSettings { width: 2, dofs: 3, ..GridSettings::default() }),
        (&[6, 5], GridSettings { dofs: 2, stencil: Stencil::Box, ..periodic([false, true, false]) }),
        (&[5, 4, 6], GridSettings { width: 2, stencil: Stencil::Box, ..periodic([true, true, false]) }),
        (&[4, 3, 2], periodic([false, false, true])),
        (&[1, 8], GridSettings::default()),
    ] {
        let last = std::array::from_fn(|axis| if axis == 0 { comm.size() } else { 1 });
        for cut in [Cut::Slabs, Cut::Boxes, Cut::Given(last)] {
            grids.push(Grid::new(comm, nodes, GridSettings { cut, ..settings.clone() })?);
        }
    }
    Ok(grids)
}

fn ghosts<T: Scalar>(comm: &Comm) -> TestResult {
    for grid in grids(comm)? {
        let x = grid.vector(value::<T>);
        let ghosted = grid.ghosted()?;
        let mut values = vec![T::ONE; 3];
        let own = grid.owned();
        for _ in 0..2 {
            ghosted.import(&x, &mut values)?;
            let [i, j, k] = ghosted.ranges().clone();
            let mut seen = 0;
            for place in k.flat_map(|k| {
                j.clone().flat_map({
                    let i = i.clone();
                    move |j| i.clone().map(move |i| [i, j, k]).collect::<Vec<_>>()
                })
            }) {
                let node = grid.node(place).expect("the frame ends at the edges");
                let outside = (0..3)
                    .filter(|&axis| {
                        !(own[axis].start.cast_signed()..own[axis].end.cast_signed()).contains(&place[axis])
                    })
                    .count();
                for dof in 0..grid.settings().dofs {
                    let position = ghosted.position(place, dof).expect("a place of the array");
                    let read = grid.settings().stencil == Stencil::Box || outside <= 1;
                    let expected = if read { value::<T>(node, dof) } else { T::ZERO };
                    assert_eq!(values[position], expected, "{place:?} {dof} of {grid:?}");
                    seen += 1;
                }
            }
            assert_eq!((seen, ghosted.len()), (values.len(), values.len()));
        }
        // As wide as the stencil wherever the grid goes on.
        let width = i64::try_from(grid.settings().width)?;
        for node in grid.owned_nodes() {
            for (axis, step) in (0..3).flat_map(|axis| [(axis, -width), (axis, width)]) {
                let mut place = node.map(u64::cast_signed);
                place[axis] += step;
                let there = grid.node(place).is_some() && (grid.nodes()[axis] > 1 || grid.settings().periodic[axis]);
                assert!(!there || ghosted.position(place, 0).is_some(), "{place:?} of {grid:?}");
            }
        }
    }
    Ok(())
}

fn orders<T: Scalar>(comm: &Comm) -> TestResult {
    for grid in grids(comm)? {
        let [width, height, depth] = grid.nodes();
        let dofs = grid.settings().dofs;
        let order = grid.natural_order()?;
        let x = grid.vector(value::<T>);
        let natural = order.to_natural(&x)?;
        let nodes = (0..depth).flat_map(|k| (0..height).flat_map(move |j| (0..width).map(move |i| [i, j, k])));
        let expected: Vec<T> = nodes.flat_map(|node| (0..dofs).map(move |dof| value(node, dof))).collect();
        assert_eq!(natural.gather_all(), expected, "{grid:?}");
        assert_eq!(order.to_distributed(&natural)?.owned(), x.owned(), "{grid:?}");
        for (node, dof) in grid.owned_nodes().flat_map(|node| (0..dofs).map(move |dof| (node, dof))) {
            let row = grid.row(node, dof).expect("a node of the grid");
            assert_eq!(x.get(row), Some(value(node, dof)), "{node:?} of {grid:?}");
            if grid.settings().cut == Cut::Slabs {
                assert_eq!(grid.natural_row(node, dof), Some(row));
            }
        }
        assert_eq!(grid.row([width, 0, 0], 0), None);
        assert_eq!(grid.row([0; 3], dofs), None);
    }
    Ok(())
}

/// Couples the unknowns of a node and its neighbors along the axes.
fn stencil(grid: &Grid) -> TestResult<dolmen_core::CsrMatrix<f64>> {
    let dofs = grid.settings().dofs;
    Ok(grid.matrix(|node, dof, row| {
        row.push([0; 3], dof, 8.0 + dof as f64);
        row.push([0; 3], (dof + 1) % dofs, 0.5);
        for axis in 0..3 {
            for (step, value) in [(-1, -1.0), (1, -1.5)] {
                let mut offset = [0; 3];
                offset[axis] = step;
                row.push(offset, dof, value * (1.0 + node[axis] as f64));
            }
        }
        assert!(!row.push([0; 3], dofs, 1.0));
    })?)
}

fn stencils(comm: &Comm) -> TestResult {
    for grid in grids(comm)? {
        let a = stencil(&grid)?;
        let x = grid.vector(value::<f64>);
        let mut y = Vector::zeros(grid.layout());
        a.apply(&x, &mut y)?;
        let dofs = grid.settings().dofs;
        let expected = grid.vector(|node, dof| {
            let at = |place: [i64; 3]| grid.node(place).map_or(0.0, |node| value(node, dof));
            let here = node.map(u64::cast_signed);
            let mut sum = (8.0 + dof as f64) * value::<f64>(node, dof) + 0.5 * value::<f64>(node, (dof + 1) % dofs);
            for axis in 0..3 {
                let moved = |step: i64| std::array::from_fn(|k| here[k] + if k == axis { step } else { 0 });
                sum -= (at(moved(-1)) + 1.5 * at(moved(1))) * (1.0 + node[axis] as f64);
            }
            sum
        });
        y.axpy(-1.0, &expected)?;
        assert!(y.norm_inf() <= 1e-12 * expected.norm_inf(), "{grid:?}");
    }
    Ok(())
}

fn mistakes(comm: &Comm) -> TestResult {
    let new = |nodes: &[u64], settings: GridSettings| Grid::new(comm, nodes, settings);
    fails(comm, new(&[], GridSettings::default()), "grid: 0 axes; give one to three")?;
    fails(comm, new(&[4], GridSettings { dofs: 0, ..GridSettings::default() }), "a node has no unknowns")?;
    let cut = Cut::Given([comm.size() + 1, 1, 1]);
    fails(comm, new(&[4], GridSettings { cut, ..GridSettings::default() }), "give a box for each rank")?;
    if comm.size() > 1 {
        let own = if comm.rank() == 0 { 5 } else { 6 };
        fails(comm, new(&[own], GridSettings::default()), "grid of [5] nodes (rank 0), grid of [6] nodes (rank")?;
    }
    let grid = new(&[4, 4], GridSettings::default())?;
    let other = Vector::<f64>::zeros(new(&[5, 4], GridSettings::default())?.layout());
    fails(comm, grid.ghosted()?.import(&other, &mut Vec::new()), "import of a grid: the operands live on different")?;
    fails(comm, grid.natural_order()?.to_natural(&other), "different layouts")
}

fn slabs(comm: &Comm) -> TestResult<Checksums> {
    let settings = GridSettings { dofs: 2, periodic: [false, true, false], ..GridSettings::default() };
    let grid = Grid::new(comm, &[9, 7, 8], settings)?;
    let a = stencil(&grid)?;
    let x = grid.vector(|node, dof| {
        (node[0] as f64 + 0.3).sin() * (node[1] as f64 - 0.7 * node[2] as f64).cos() + dof as f64 / 3.0
    });
    let mut y = Vector::zeros(grid.layout());
    a.apply(&x, &mut y)?;
    Ok(vec![("product".to_owned(), checksum(comm, y.owned())), ("entries".to_owned(), a.global_entries())])
}
