//! A flow in a box by differences on staggered grids (Harlow and Welch 1965): velocities on the sides of cells, pressures in
//! their middles.

use dolmen_core::{Comm, CsrMatrix, Diagonal, FnOperator, Layout, LinearOperator, Vector};
use dolmen_solvers::{
    Cg, Direct, Fgmres, Fields, Gmres, LeastSquaresCommutator, Lu, Minres, Multigrid, Multiplicative, OnField,
    SchurForm, SchurPreconditioner, SolveReport,
};
use dolmen_tests::{Checksums, TestResult};

/// A box of `n` by `n` cells.
struct Flow {
    a: CsrMatrix<f64>,
    fields: Fields,
    solution: Vector<f64>,
    b: Vector<f64>,
    n: u64,
}

impl Flow {
    fn new(comm: &Comm, n: u64) -> TestResult<Flow> {
        let velocities = 2 * n * (n - 1);
        let layout = Layout::uniform(comm, velocities + n * n);
        let h = 1.0 / n as f64;
        let a = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
            let mut push = |column: u64, value: f64| entries.push(column, value);
            // Velocities along the first axis have n - 1 places along it and n along the other.
            if row < velocities {
                let half = velocities / 2;
                let [first, place] = [row / half * half, row % half];
                let (along, across) =
                    if first == 0 { (place % (n - 1), place / (n - 1)) } else { (place / n, place % n) };
                let number = |along: u64, across: u64| {
                    if first == 0 { across * (n - 1) + along } else { half + along * n + across }
                };
                let cell = |along: u64, across: u64| {
                    velocities + if first == 0 { across * n + along } else { along * n + across }
                };
                // A wall beside is half a step away, where the velocity is zero.
                let walls = u64::from(across == 0) + u64::from(across == n - 1);
                push(row, (4 + walls) as f64);
                if along > 0 {
                    push(number(along - 1, across), -1.0)
                }
                if along + 1 < n - 1 {
                    push(number(along + 1, across), -1.0)
                }
                if across > 0 {
                    push(number(along, across - 1), -1.0)
                }
                if across + 1 < n {
                    push(number(along, across + 1), -1.0)
                }
                push(cell(along + 1, across), h);
                push(cell(along, across), -h);
            } else {
                let (i, j) = ((row - velocities) % n, (row - velocities) / n);
                let half = velocities / 2;
                if i > 0 {
                    push(j * (n - 1) + i - 1, h)
                }
                if i + 1 < n {
                    push(j * (n - 1) + i, -h)
                }
                if j > 0 {
                    push(half + (j - 1) * n + i, h)
                }
                if j + 1 < n {
                    push(half + j * n + i, -h)
                }
            }
        })?;
        let fields = Fields::new(&layout, 2, |row| usize::from(row >= velocities))?;
        let solution = Vector::from_fn(&layout, |row| {
            let (i, j) = ((row % n) as f64, (row / n % n) as f64);
            if row < velocities { (0.3 * row as f64).sin() } else { i - j }
        });
        let mut b = Vector::zeros(&layout);
        a.apply(&solution, &mut b)?;
        Ok(Flow { a, fields, solution, b, n })
    }

    /// Compares velocities with the known ones; pressures are determined up to a constant.
    fn compare(&self, x: &Vector<f64>, what: &str) -> TestResult {
        let mut velocities = [Vector::zeros(self.fields.layout_of(0)), Vector::zeros(self.fields.layout_of(0))];
        self.fields.take(0, x, &mut velocities[0])?;
        self.fields.take(0, &self.solution, &mut velocities[1])?;
        let [mut found, expected] = velocities;
        found.axpy(-1.0, &expected)?;
        let error = found.norm_inf();
        assert!(error < 1e-4, "{what}: velocities are off by {error:e}");
        Ok(())
    }

    fn velocity(&self) -> TestResult<Multigrid<f64>> {
        Ok(Multigrid::new(&self.fields.block(&self.a, 0, 0)?)?)
    }

    /// The inverse of the matrix of masses, times -1 for the complement, 1 for its opposite.
    fn pressure(&self, sign: f64) -> Diagonal<f64> {
        let cells = (self.n * self.n) as f64;
        Diagonal::new(Vector::from_fn(self.fields.layout_of(1), |_| sign * cells))
    }
}

fn good(report: &SolveReport, what: &str) -> usize {
    assert!(report.converged(), "{what}: {}", report.outcome());
    report.iterations
}

/// Iterations that docs/field-split.md has, for 16, 32 and 64 cells along a side: velocities exact, by CG, by one cycle (upper,
/// full, diagonal), one field after the other, and the commutator.
const PAGE: [[usize; 7]; 3] =
    [[10, 12, 19, 15, 37, 21, 17], [11, 13, 23, 17, 43, 24, 22], [12, 14, 30, 23, 57, 31, 37]];

/// With exact solves for the velocities, or nearly exact ones, the grid is of no importance; with one cycle of multigrid of
/// little, but for the commutator, whose iterations grow.
pub(crate) fn iterations(comm: &Comm) -> TestResult<Checksums> {
    let mut counts = Vec::new();
    for n in [16, 32, 64] {
        let flow = Flow::new(comm, n)?;
        let Flow { a, fields, b, .. } = &flow;
        let zeros = || Vector::zeros(a.domain());
        let gmres = |m: &dyn LinearOperator<f64>, what: &str| -> TestResult<usize> {
            let mut x = zeros();
            let report = Fgmres::new().rtol(1e-8).restart(60).preconditioner(m).solve(a, b, &mut x)?;
            flow.compare(&x, what)?;
            Ok(good(&report, what))
        };
        let block = fields.block(a, 0, 0)?;
        let upper = |inverse: &dyn LinearOperator<f64>, what: &str| {
            gmres(&SchurPreconditioner::new(a, fields, SchurForm::Upper, inverse, flow.pressure(-1.0))?, what)
        };
        let exact = upper(&Direct::<f64, Lu<f64>>::factor(&block)?, "exact")?;
        let cycle = flow.velocity()?;
        let solve = |x: &Vector<f64>, y: &mut Vector<f64>| {
            y.fill(0.0);
            Cg::new().rtol(1e-2).preconditioner(&cycle).solve(&block, x, y).map(drop)
        };
        let nearly = upper(&FnOperator::fallible(block.domain(), block.range(), solve), "nearly exact")?;
        let one = upper(&cycle, "one cycle")?;
        let full = gmres(&SchurPreconditioner::new(a, fields, SchurForm::Full, &cycle, flow.pressure(-1.0))?, "full")?;
        let diagonal = SchurPreconditioner::new(a, fields, SchurForm::Diagonal, &cycle, flow.pressure(1.0))?;
        let report = Minres::new().rtol(1e-8).preconditioner(&diagonal).solve(a, b, &mut zeros())?;
        let [velocity, pressure] = [
            &OnField::new(fields, 0, &cycle)? as &dyn LinearOperator<f64>,
            &OnField::new(fields, 1, flow.pressure(-1.0))?,
        ];
        let parts = gmres(&Multiplicative::new(a, vec![velocity, pressure])?, "one after the other")?;
        let laplacian = Multigrid::new(&fields.product_of_couplings(a)?)?;
        let commutator = LeastSquaresCommutator::new(a, fields, laplacian)?;
        let of_commutator = SchurPreconditioner::new(a, fields, SchurForm::Upper, &cycle, commutator)?;
        let commutator = gmres(&of_commutator, "commutator")?;
        counts.push([exact, nearly, one, full, good(&report, "MINRES"), parts, commutator]);
    }
    for (found, expected) in counts.iter().zip(&PAGE) {
        assert!(found.iter().zip(expected).all(|(&found, &expected)| found.abs_diff(expected) <= 1), "{counts:?}");
    }
    Ok(counts.concat().into_iter().enumerate().map(|(at, count)| (format!("count {at}"), count as u64)).collect())
}

pub(crate) fn bits(comm: &Comm) -> TestResult<Checksums> {
    let flow = Flow::new(comm, 12)?;
    let m = SchurPreconditioner::new(&flow.a, &flow.fields, SchurForm::Full, flow.velocity()?, flow.pressure(-1.0))?;
    let mut x = Vector::zeros(flow.a.domain());
    let report = Gmres::new().rtol(1e-8).preconditioner(&m).solve(&flow.a, &flow.b, &mut x)?;
    let digest = x.gather_all().iter().fold(0, |sum: u64, x| sum.rotate_left(7) ^ x.to_bits());
    Ok(vec![("solution".to_owned(), digest), ("iterations".to_owned(), report.iterations as u64)])
}
