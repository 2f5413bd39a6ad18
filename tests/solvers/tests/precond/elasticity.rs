//! Multigrid with several near-null-space vectors and several unknowns a node, on elastic bodies of cubes.

use dolmen_core::dense::{HermitianEigen, Qr};
use dolmen_core::ndarray::Array2;
use dolmen_core::{
    CsrMatrix, Error as CoreError, Layout, LinearOperator, MatrixRow, MultiVector, Real, Redistribute, Scalar, Vector,
};
use dolmen_solvers::{Cg, Error, Multigrid, MultigridSettings, NullSpace, SolveReport, rigid_body_modes};
use dolmen_tests::{Checksums, Comm, TestResult};

use crate::dense::{adjoint, assert_same, inverse, of_operator, times};
use crate::multigrid::{digest, entries, whole};

/// A body of cubes of side one, with linear displacements along each axis in each of them; Poisson's ratio is 0.25.
struct Body {
    /// Cubes along each axis, two or three.
    cubes: Vec<u64>,
    /// True if the nodes at the lower end of the first axis are held, and no unknowns.
    held: bool,
}

impl Body {
    fn cube(axes: usize, side: u64) -> Body {
        Body { cubes: vec![side; axes], held: true }
    }

    fn axes(&self) -> usize {
        self.cubes.len()
    }

    /// Nodes along an axis.
    fn nodes_along(&self, axis: usize) -> u64 {
        self.cubes[axis] + u64::from(axis > 0 || !self.held)
    }

    fn nodes(&self) -> u64 {
        (0..self.axes()).map(|axis| self.nodes_along(axis)).product()
    }

    /// Place of a node in its grid.
    fn place(&self, mut node: u64) -> Vec<u64> {
        let along = |axis| {
            let count = self.nodes_along(axis);
            let at = node % count;
            node /= count;
            at + u64::from(axis == 0 && self.held)
        };
        (0..self.axes()).map(along).collect()
    }

    /// The node at a place of the grid, unless it is held.
    fn node(&self, place: &[u64]) -> Option<u64> {
        let first = place[0].checked_sub(u64::from(self.held))?;
        let above = (1..self.axes()).rev().fold(0, |node, axis| (node + place[axis]) * self.nodes_along(axis - 1));
        Some(above + first)
    }

    /// The stiffness matrix times a factor, on any layout of its rows.
    fn matrix<T: Scalar>(&self, rows: &Layout, factor: f64) -> TestResult<CsrMatrix<T>> {
        let (axes, corners) = (self.axes(), 1 << self.axes());
        let of_corners = |a: usize, i: usize| {
            let others = (0..corners).flat_map(|b| (0..axes).map(move |j| (b, j)));
            others.map(|(b, j)| T::from_parts(factor * stiffness(axes, a, i, b, j), 0.0)).collect::<Vec<T>>()
        };
        let table: Vec<Vec<T>> = (0..corners * axes).map(|row| of_corners(row / axes, row % axes)).collect();
        let bit = |corner: usize, axis: usize| u64::from(corner >> axis & 1 == 1);
        Ok(CsrMatrix::from_rows(rows, rows, |row, entries| {
            let (node, i) = (row / axes as u64, usize::try_from(row % axes as u64).unwrap_or(0));
            let place = self.place(node);
            for a in 0..corners {
                let low: Option<Vec<u64>> = (0..axes).map(|axis| place[axis].checked_sub(bit(a, axis))).collect();
                let Some(low) = low.filter(|low| low.iter().zip(&self.cubes).all(|(low, cubes)| low < cubes)) else {
                    continue;
                };
                for b in 0..corners {
                    let other: Vec<u64> = (0..axes).map(|axis| low[axis] + bit(b, axis)).collect();
                    let Some(other) = self.node(&other) else { continue };
                    let values = &table[a * axes + i][b * axes..][..axes];
                    (other * axes as u64..).zip(values).for_each(|(column, &value)| entries.push(column, value));
                }
            }
        })?)
    }

    fn coordinates(&self, nodes: &Layout) -> MultiVector<f64> {
        MultiVector::from_fn(nodes, self.axes(), |node, axis| self.place(node)[axis] as f64)
    }

    /// Nodes spread evenly, and the rows of their displacements.
    fn layouts(&self, comm: &Comm) -> TestResult<[Layout; 2]> {
        let nodes = Layout::uniform(comm, self.nodes());
        let rows = nodes.refined(self.axes())?;
        Ok([nodes, rows])
    }

    /// Rows that divide nodes between ranks, none on rank 1 where there are more than two ranks.
    fn divided_rows(&self, comm: &Comm) -> TestResult<Layout> {
        let (rank, size, all) = (comm.rank(), comm.size(), usize::try_from(self.nodes())? * self.axes());
        let share = |rank: usize| match (rank, size) {
            (1, 3..) => 0,
            _ => (all / size).saturating_sub(2 * rank),
        };
        let others: usize = (1..size).map(share).sum();
        Ok(Layout::from_local_len(comm, if rank == 0 { all - others } else { share(rank) })?)
    }

    fn modes<T: Scalar>(&self, rows: &Layout) -> TestResult<MultiVector<T>> {
        let [nodes, whole] = self.layouts(rows.comm())?;
        let modes = rigid_body_modes(&self.coordinates(&nodes))?;
        let mut moved = MultiVector::zeros(rows, modes.columns());
        Redistribute::new(&whole, rows)?.apply_columns(&modes, &mut moved)?;
        Ok(moved)
    }

    /// The matrix, and its hierarchy with rigid-body modes.
    fn with_modes<T: Scalar>(&self, rows: &Layout, coarsest: usize) -> TestResult<(CsrMatrix<T>, Multigrid<T>)> {
        let a = self.matrix(rows, 1.0)?;
        let settings = MultigridSettings { coarsest, ..settings(self.axes()) };
        let m = Multigrid::with_near_null_space(&a, settings, &self.modes(rows)?)?;
        Ok((a, m))
    }
}

/// The energy of displacements along axes `i` and `j` of the corners `a` and `b` of a cube, with Lame's constants of one:
/// the integral of `d_i N_a d_j N_b + d_j N_a d_i N_b` and, for equal axes, of the product of gradients.
fn stiffness(axes: usize, a: usize, i: usize, b: usize, j: usize) -> f64 {
    let product = |i: usize, j: usize| -> f64 {
        let along = |axis: usize| {
            let [a, b] = [a, b].map(|corner| if corner >> axis & 1 == 1 { 1.0 } else { -1.0 });
            match (axis == i, axis == j) {
                (true, true) => a * b,
                (true, false) => a / 2.0,
                (false, true) => b / 2.0,
                (false, false) => {
                    if a == b {
                        1.0 / 3.0
                    } else {
                        1.0 / 6.0
                    }
                }
            }
        };
        (0..axes).map(along).product()
    };
    let gradients = if i == j { (0..axes).map(|axis| product(axis, axis)).sum() } else { 0.0 };
    product(i, j) + product(j, i) + gradients
}

fn settings(block: usize) -> MultigridSettings {
    MultigridSettings { block, ..Default::default() }
}

fn load<T: Scalar>(row: u64) -> T {
    T::from_parts(1.0 + (row % 7) as f64 / 8.0, 0.0)
}

fn solved<T: Scalar>(a: &CsrMatrix<T>, m: &Multigrid<T>) -> TestResult<(Vector<T>, SolveReport)> {
    let b = Vector::from_fn(a.range(), load);
    let mut x = Vector::zeros(a.domain());
    let report = Cg::new().rtol(T::Real::EPSILON.to_f64().sqrt()).preconditioner(m).solve(a, &b, &mut x)?;
    assert!(report.converged(), "{report}\n{m}");
    Ok((x, report))
}

/// Hardly more iterations on larger bodies, and far fewer than without rotations.
pub(crate) fn flat(comm: &Comm) -> TestResult {
    for (axes, [small, large]) in [(2, [32, 64]), (3, [7, 12])] {
        let with_modes = |side: u64| {
            let body = Body::cube(axes, side);
            let (a, m) = body.with_modes::<f64>(&body.layouts(comm)?[1], 100)?;
            let iterations = solved(&a, &m)?.1.iterations;
            Ok::<_, Box<dyn std::error::Error>>((a, iterations))
        };
        let (few, (a, more)) = (with_modes(small)?.1, with_modes(large)?);
        let without = solved(&a, &Multigrid::with_settings(&a, settings(axes))?)?.1.iterations;
        let constant = solved(&a, &Multigrid::new(&a)?)?.1.iterations;
        let text = format!("{axes} axes: {few}, {more}, {without} without rotations, {constant} without blocks");
        assert!(more <= 18 && more <= few + 3, "{text}");
        assert!(2 * without >= 3 * more && constant >= 3 * more, "{text}");
    }
    Ok(())
}

/// Small bodies against dense solutions, on rows that divide nodes between ranks.
pub(crate) fn dense<T: Scalar>(comm: &Comm) -> TestResult {
    for cubes in [vec![4, 3], vec![2, 2, 2]] {
        let body = Body { cubes, held: true };
        let (a, m) = body.with_modes::<T>(&body.divided_rows(comm)?, 20)?;
        assert!(m.levels() > 1, "{m}");
        let (Some(p), Some(coarse)) = (m.prolongator(0), m.matrix(1)) else { panic!("{m}") };
        let (p, coarse) = (whole(p)?, whole(coarse)?);
        let mut galerkin = times(&times(&adjoint(&p), &whole(&a)?), &p);
        // Unknowns without a column have a diagonal entry of their own.
        for (k, row) in galerkin.iter_mut().enumerate().filter(|(_, row)| row.iter().all(|&entry| entry == T::ZERO)) {
            assert!(coarse[k][k].re().to_f64() > 0.0, "{m}");
            row[k] = coarse[k][k];
        }
        assert_same("Galerkin product", &coarse, &galerkin);
        let (x, report) = solved(&a, &m)?;
        assert!(report.iterations <= 11, "{report}\n{m}");
        let b: Vec<T> = (0..a.range().global_len()).map(load).collect();
        let expected: Vec<T> =
            inverse(&whole(&a)?).iter().map(|row| row.iter().zip(&b).map(|(&a, &b)| a * b).sum()).collect();
        let largest = expected.iter().map(|value| value.abs().to_f64()).fold(0.0, f64::max);
        let limit = 100.0 * T::Real::EPSILON.to_f64().sqrt() * largest;
        for (found, expected) in x.gather_all().into_iter().zip(expected) {
            assert!((found - expected).abs().to_f64() < limit, "{:?}: {found} for {expected}", body.cubes);
        }
    }
    Ok(())
}

/// Prolongators of a body that nothing holds have its modes in their span, on every level to the next.
pub(crate) fn modes_are_kept<T: Scalar>(comm: &Comm) -> TestResult {
    let precision = T::Real::EPSILON.to_f64();
    for cubes in [vec![9, 7], vec![4, 3, 3]] {
        let body = Body { cubes, held: false };
        let rows = body.divided_rows(comm)?;
        let (a, m) = body.with_modes::<T>(&rows, 5)?;
        let modes = body.modes::<T>(&rows)?;
        let mut forces = MultiVector::zeros(&rows, modes.columns());
        a.apply_many(&modes, &mut forces)?;
        assert!(forces.owned().iter().all(|force| force.abs().to_f64() < 100.0 * precision), "no rigid-body modes");
        let p = m.prolongator(0).ok_or("one level")?.gather_all()?.to_dense();
        let used: Vec<_> =
            p.columns().into_iter().filter(|column| column.iter().any(|&entry| entry != T::ZERO)).collect();
        let p = Array2::from_shape_fn((p.nrows(), used.len()), |(i, j)| used[j][i]);
        for k in 0..modes.columns() {
            let mut mode = Vector::zeros(&rows);
            modes.copy_column_to(k, &mut mode)?;
            let mode = mode.gather_all();
            let coarse = Qr::factor(p.view())?.solve(&mode)?;
            for (row, &expected) in p.rows().into_iter().zip(&mode) {
                let found: T = row.iter().zip(&coarse).map(|(&p, &x)| p * x).sum();
                assert!((found - expected).abs().to_f64() < 1e3 * precision, "mode {k}: {found} for {expected}");
            }
        }
    }
    Ok(())
}

/// The hierarchy and the solution to the bit.
pub(crate) fn bits<T: Scalar>(comm: &Comm) -> TestResult<Checksums> {
    let body = Body { cubes: vec![9, 4, 4], held: true };
    let (a, m) = body.with_modes::<T>(&body.divided_rows(comm)?, 20)?;
    assert!(m.levels() > 2, "{m}");
    let mut checksums = Vec::new();
    for level in 0..m.levels() {
        let matrices = [m.matrix(level), m.prolongator(level)].into_iter().flatten();
        for (number, matrix) in matrices.enumerate() {
            checksums.push((format!("level {level}, matrix {number}"), digest(comm, entries(matrix))));
        }
    }
    let (x, report) = solved(&a, &m)?;
    checksums.push(("iterations".to_owned(), report.iterations as u64));
    let values = x.layout().owned_rows().zip(x.owned()).map(|(row, &value)| (row, 0, value));
    checksums.push(("solution".to_owned(), digest(comm, values)));
    Ok(checksums)
}

/// A body that nothing holds is singular, on every level.
pub(crate) fn free(comm: &Comm) -> TestResult {
    let body = Body { cubes: vec![7, 6, 5], held: false };
    let rows = body.divided_rows(comm)?;
    for coarsest in [1, 40, 200] {
        let (a, m) = body.with_modes::<f64>(&rows, coarsest)?;
        let modes = body.modes(&rows)?;
        let column = |k| {
            let mut vector = Vector::zeros(&rows);
            modes.copy_column_to(k, &mut vector).map(|()| vector)
        };
        let null = NullSpace::new(&rows, (0..6).map(column).collect::<Result<_, _>>()?)?;
        let b = Vector::from_fn(&rows, load);
        let mut x = Vector::zeros(&rows);
        let report = Cg::new().rtol(1e-8).projection(&null).preconditioner(&m).solve(&a, &b, &mut x)?;
        assert!(report.converged() && report.iterations <= 18, "{coarsest}: {report}\n{m}");
        assert!(x.norm2() < 1e5, "{}", x.norm2());
    }
    for (cubes, coarsest) in [(vec![4, 4], 10), (vec![2, 2, 1], 1), (vec![2, 2, 1], 200)] {
        let body = Body { cubes, held: false };
        let m = body.with_modes::<f64>(&body.divided_rows(comm)?, coarsest)?.1;
        let dense = of_operator(&m, |x, y| m.apply(x, y))?;
        let n = dense.len();
        let hermitian = Array2::from_shape_fn((n, n), |(i, j)| dense[i.max(j)][i.min(j)]);
        let eigen = HermitianEigen::factor(hermitian.view())?;
        let [least, most] = [eigen.values()[0], eigen.values()[n - 1]];
        assert!(least > 0.0 && most < 1e3, "{least} to {most}\n{m}");
    }
    Ok(())
}

/// Counts the unknowns of level 1 that are tied to no other.
fn alone_in_row(m: &Multigrid<f64>) -> TestResult<u64> {
    let coarse = m.matrix(1).ok_or("one level")?;
    let is_alone = |row: &MatrixRow<'_, f64>| row.values().iter().filter(|value| **value != 0.0).count() == 1;
    let mut count = [coarse.rows().filter(is_alone).count() as u64];
    coarse.range().comm().all_reduce_sum(&mut count);
    Ok(count[0])
}

/// Vectors that depend on each other, everywhere or where an aggregate has few rows, cost nothing.
pub(crate) fn dependent(comm: &Comm) -> TestResult {
    let body = Body::cube(2, 20);
    let rows = body.divided_rows(comm)?;
    let (a, m) = body.with_modes::<f64>(&rows, 30)?;
    let alone = solved(&a, &m)?.1.iterations;
    let modes = body.modes::<f64>(&rows)?;
    let more = MultiVector::from_fn(&rows, 5, |row, column| {
        let place = rows.global_to_owned(row).unwrap_or(0);
        let entry = |column| modes.column(column)[place];
        [entry(0), 3.0 * entry(0), entry(1), entry(2), 0.1 * entry(0) - entry(1) + 2e-3 * entry(2)][column]
    });
    let m = Multigrid::with_near_null_space(&a, MultigridSettings { coarsest: 30, ..settings(2) }, &more)?;
    let together = solved(&a, &m)?.1.iterations;
    assert!(m.levels() > 2 && together.abs_diff(alone) <= 2, "{together} iterations, {alone} without them\n{m}");
    assert_eq!(alone_in_row(&m)? * 5, m.matrix(1).map_or(0, |coarse| coarse.range().global_len() * 2), "{m}");
    // One unknown a node, and aggregates of the corners of the plane with fewer rows than vectors.
    let plane = crate::multigrid::laplacian::<f64>(comm, 2, 21)?;
    let powers = MultiVector::from_fn(plane.range(), 4, |row, column| {
        let [x, y] = [row % 21, row / 21].map(|at| at as f64 / 21.0);
        [1.0, x, y, x * y][column]
    });
    let m = Multigrid::with_near_null_space(&plane, MultigridSettings { coarsest: 30, ..settings(1) }, &powers)?;
    let report = solved(&plane, &m)?.1;
    assert!(report.iterations <= 12 && alone_in_row(&m)? > 0, "{report}\n{m}");
    // A constant vector of any length is the default.
    let sevens = MultiVector::from_fn(plane.range(), 1, |_, _| 7.0);
    let given = Multigrid::with_near_null_space(&plane, settings(1), &sevens)?;
    let [given, default] =
        [given, Multigrid::new(&plane)?].map(|m| solved(&plane, &m).map(|(_, report)| report.iterations));
    assert!(given?.abs_diff(default?) <= 1);
    Ok(())
}

/// New values on the hierarchy that is there are those of a new one.
pub(crate) fn refill(comm: &Comm) -> TestResult {
    let body = Body { cubes: vec![6, 4, 3], held: true };
    let rows = body.divided_rows(comm)?;
    let (a, modes) = (body.matrix::<f64>(&rows, 1.0)?, body.modes::<f64>(&rows)?);
    let mut doubled = MultiVector::zeros(&rows, 7);
    (0..7).for_each(|k| doubled.column_mut(k).copy_from_slice(modes.column(k % 6)));
    let mut changed = body.matrix::<f64>(&rows, 3.0)?;
    let raised: Vec<_> = rows.range().map(|row| (row, row, 3.5 * a.get(row, row).unwrap_or(0.0))).collect();
    changed.set(raised)?;
    let settings = MultigridSettings { coarsest: 20, ..settings(3) };
    let mut m = Multigrid::with_near_null_space(&a, settings.clone(), &doubled)?;
    let fresh = Multigrid::with_near_null_space(&changed, settings, &doubled)?;
    assert!(m.levels() > 2, "{m}");
    for _ in 0..2 {
        m.refill(&changed)?;
        assert!(solved(&changed, &m)?.0.owned() == solved(&changed, &fresh)?.0.owned(), "the solutions differ");
    }
    Ok(())
}

/// Matrices, vectors and coordinates in any unit.
pub(crate) fn scales(comm: &Comm) -> TestResult {
    let body = Body { cubes: vec![8, 8], held: true };
    let [nodes, rows] = body.layouts(comm)?;
    let (a, m) = body.with_modes::<f64>(&rows, 20)?;
    let (x, report) = solved(&a, &m)?;
    let settings = MultigridSettings { coarsest: 20, ..settings(2) };
    for factor in [1e-170, 1e170] {
        let scaled = body.matrix::<f64>(&rows, factor)?;
        let m = Multigrid::with_near_null_space(&scaled, settings.clone(), &body.modes(&rows)?)?;
        let (y, scaled) = solved(&scaled, &m)?;
        assert_eq!(scaled.iterations, report.iterations, "{factor:e}");
        let close = |x: f64, y: f64| (y * factor - x).abs() < 1e-6 * x.abs().max(1.0);
        assert!(x.owned().iter().zip(y.owned()).all(|(&x, &y)| close(x, y)), "{factor:e}");
    }
    for power in [2f64.powi(-560), 2f64.powi(563)] {
        let mut modes = body.modes::<f64>(&rows)?;
        modes.scale_columns(&[1.0, power, 1.0 / power])?;
        let m = Multigrid::with_near_null_space(&a, settings.clone(), &modes)?;
        assert!(solved(&a, &m)?.0.owned() == x.owned(), "vectors times {power:e}");
        let mut coordinates = body.coordinates(&nodes);
        let modes = rigid_body_modes::<f64>(&coordinates)?;
        coordinates.scale(power);
        assert!(rigid_body_modes::<f64>(&coordinates)?.owned() == modes.owned(), "coordinates times {power:e}");
    }
    Ok(())
}

/// Vectors, blocks and coordinates that are refused, by one error on all ranks.
pub(crate) fn refused(comm: &Comm) -> TestResult {
    let body = Body { cubes: vec![3, 3], held: true };
    let [nodes, rows] = body.layouts(comm)?;
    let a = body.matrix::<f64>(&rows, 1.0)?;
    let good = body.modes::<f64>(&rows)?;
    let last = comm.rank() + 1 == comm.size();
    let error = |block: usize, vectors: &MultiVector<f64>| {
        let error = Multigrid::with_near_null_space(&a, settings(block), vectors).err().ok_or("not refused")?;
        same_everywhere(comm, &error);
        Ok::<_, Box<dyn std::error::Error>>(error)
    };
    let setting = |error: Error, name: &str| match error.cause() {
        Error::Setting { setting, .. } => assert_eq!(*setting, name, "{error}"),
        _ => panic!("{error:?}"),
    };
    let other = MultiVector::from_fn(&Layout::uniform(comm, 25), 1, |_, _| 1.0);
    let of_layout = error(2, &other)?;
    assert!(matches!(of_layout.cause(), Error::Layout { left: 24, right: 25, .. }), "{of_layout:?}");
    setting(error(2, &MultiVector::zeros(&rows, 0))?, "number of near-null-space vectors");
    setting(error(2, &MultiVector::zeros(&rows, 2))?, "largest entry of the near-null-space vectors");
    setting(error(5, &good)?, "block");
    setting(error(0, &good)?, "block");
    setting(Multigrid::with_settings(&a, settings(5)).err().ok_or("not refused")?, "block");
    for bad in [f64::NAN, f64::INFINITY] {
        let vectors = MultiVector::from_fn(&rows, 3, |row, k| if row == 17 && k == 1 { bad } else { 1.0 });
        let of_number = error(2, &vectors)?;
        assert!(matches!(of_number.cause(), Error::NotFinite { column: 1, row: 17, .. }), "{of_number:?}");
    }
    if comm.size() > 1 {
        let fewer = MultiVector::from_fn(&rows, if last { 2 } else { 3 }, |row, _| 1.0 + row as f64);
        let blocks = [3, 5].map(|block| error(if last { block } else { 2 }, &good));
        for error in blocks.into_iter().chain([error(2, &fewer)]) {
            let error = error?;
            assert!(matches!(error.cause(), Error::Core(CoreError::RanksDisagree { .. })), "{error:?}");
        }
    }
    let coordinates = |columns: usize, bad: f64| {
        let points = MultiVector::from_fn(&nodes, columns, |node, axis| if node == 7 && axis == 1 { bad } else { 1.0 });
        let error = rigid_body_modes::<f64>(&points).err().ok_or("not refused")?;
        same_everywhere(comm, &error);
        Ok::<_, Box<dyn std::error::Error>>(error)
    };
    setting(coordinates(1, 1.0)?, "number of coordinates");
    setting(coordinates(4, 1.0)?, "number of coordinates");
    let of_number = coordinates(3, f64::NAN)?;
    assert!(matches!(of_number.cause(), Error::NotFinite { column: 1, row: 7, .. }), "{of_number:?}");
    if comm.size() > 1 {
        let error = coordinates(if last { 2 } else { 3 }, 1.0)?;
        assert!(matches!(error.cause(), Error::Core(CoreError::RanksDisagree { .. })), "{error:?}");
    }
    Ok(())
}

/// Checks that an error has the same text on all ranks.
fn same_everywhere(comm: &Comm, error: &Error) {
    let text = error.to_string();
    let hash = text.bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte));
    assert!(comm.all_gather(hash).iter().all(|&other| other == hash), "{text}");
    assert!(!text.contains('\n'), "{text}");
}
