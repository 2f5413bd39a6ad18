//! The matrices of the reference data, solved by what is chosen for each.

use std::path::Path;

use dolmen_core::{Comm, CsrMatrix, Duplicates, Layout, Vector};
use dolmen_solvers::{Automatic, Solution};
use dolmen_tests::{TestResult, Triplets, manifest, read_matrix, shared};
use serde_json::Value;

const RTOL: f64 = 1e-8;
/// A circuit stored as a pattern: numerically singular, and no method brings its residual down. Some
/// iterations show as much as many.
const UNSOLVED: &str = "rajat01";

/// Wide, and yet without a solution for the right-hand side here: of 81 equations only 80 are independent;
/// no entries at all.
const INCONSISTENT: [&str; 2] = ["Q2Q1_9x9_B", "lag_empty"];

/// A matrix of the reference data with what is known of it.
struct Reference {
    name: String,
    facts: Value,
    triplets: Triplets,
}

fn place(index: u64) -> usize {
    usize::try_from(index).expect("a small matrix")
}

impl Reference {
    fn is_square(&self) -> bool {
        self.triplets.rows == self.triplets.columns
    }

    fn product(&self, x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; place(self.triplets.rows)];
        self.triplets.entries.iter().for_each(|&(i, j, value)| y[place(i)] += value.re * x[place(j)]);
        y
    }
}

/// All matrices of real numbers that are finite; right-hand sides are not matrices.
fn all(folder: &Path) -> TestResult<Vec<Reference>> {
    let manifest = manifest(folder)?;
    let matrices = manifest["matrices"].as_object().ok_or("no matrices")?;
    let mut found = Vec::new();
    for (name, entry) in matrices {
        let facts = entry["reference"].clone();
        if facts["field"] == "complex" || facts["cols"] == 1 || name == "skew_fp64" {
            continue;
        }
        let file = entry["file"].as_str().ok_or("no file")?;
        found.push(Reference { name: name.clone(), facts, triplets: read_matrix(&folder.join("data").join(file))? });
    }
    Ok(found)
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn solve(comm: &Comm, matrix: &Reference, b: &[f64]) -> TestResult<(Solution, Vec<f64>)> {
    let Triplets { rows, columns, entries } = &matrix.triplets;
    let range = Layout::uniform(comm, *rows);
    let domain = if rows == columns { range.clone() } else { Layout::uniform(comm, *columns) };
    let own = entries.iter().filter(|(row, ..)| range.range().contains(row)).map(|&(i, j, value)| (i, j, value.re));
    let a = CsrMatrix::from_triplets(&range, &domain, own, Duplicates::Add)?;
    let b = Vector::from_fn(&range, |row| b[place(row)]);
    let mut x = Vector::zeros(&domain);
    let automatic = Automatic::new().rtol(RTOL);
    let automatic = if matrix.name == UNSOLVED { automatic.max_iterations(500) } else { automatic };
    let solution = automatic.solve(&a, &b, &mut x)?;
    Ok((solution, x.gather_all()))
}

fn residual(matrix: &Reference, x: &[f64], b: &[f64]) -> Vec<f64> {
    matrix.product(x).iter().zip(b).map(|(y, b)| b - y).collect()
}

pub(crate) fn square(comm: &Comm) -> TestResult {
    let Some(folder) = shared() else { return Ok(()) };
    for matrix in all(&folder)?.iter().filter(|matrix| matrix.is_square()) {
        let name = &matrix.name;
        let b = matrix.product(&vec![1.0; place(matrix.triplets.columns)]);
        let (solution, x) = solve(comm, matrix, &b)?;
        let relative = norm(&residual(matrix, &x, &b)) / norm(&b);
        let told = solution.kept().true_relative_residual;
        assert!((relative - told).abs() <= 1e-3 * told + 1e-13, "{name}: {relative:e}, told {told:e}");
        assert!(solution.solved() == (relative <= RTOL), "{name}: {relative:e}: {solution:#?}");
        assert!(solution.solved() || name == UNSOLVED, "{name}: {solution:#?}");
        // |e| <= |A^-1| |r|, for matrices that are regular and whose rows are of one size.
        if matrix.facts["direct"]["usable"] == true && solution.warnings().is_empty() {
            let condition = matrix.facts["cond2"].as_f64().ok_or("no condition")?;
            let error: Vec<f64> = x.iter().map(|x| x - 1.0).collect();
            let relative = norm(&error) / norm(&vec![1.0; x.len()]);
            assert!(relative <= condition * RTOL, "{name}: error {relative:e}");
        }
        if name == "mini_hpddm" {
            assert!(solution.warnings()[0].contains("differ in size by 5e29"), "{:?}", solution.warnings());
        }
    }
    Ok(())
}

pub(crate) fn rectangular(comm: &Comm) -> TestResult {
    let Some(folder) = shared() else { return Ok(()) };
    let mut compared = 0;
    for matrix in all(&folder)?.iter().filter(|matrix| !matrix.is_square()) {
        let (name, known) = (&matrix.name, &matrix.facts["lsq"]);
        let b = if known["b"] == "rhs file" {
            let file = read_matrix(&folder.join("data/matrices/illc1033_rhs1.mtx.gz"))?;
            file.entries.iter().map(|(.., value)| value.re).collect()
        } else {
            let b = matrix.product(&vec![1.0; place(matrix.triplets.columns)]);
            b.iter().enumerate().map(|(i, b)| b + ((37 * i) % 101) as f64 / 128.0 - 0.390_625).collect::<Vec<_>>()
        };
        let (solution, x) = solve(comm, matrix, &b)?;
        let rest = norm(&residual(matrix, &x, &b));
        assert_eq!(solution.solved(), !INCONSISTENT.contains(&name.as_str()), "{name}: {solution:#?}");
        let is_wide = matrix.triplets.rows < matrix.triplets.columns;
        assert!(!is_wide || solution.solved() == (rest <= RTOL * norm(&b)), "{name}: {rest:e}");
        // Without entries there is no reference, and for a matrix that lacks rank none to compare to.
        if let (Some(shortest), Some(least)) = (known["norm2_x"].as_f64(), known["norm2_r"].as_f64())
            && known["rank"] == matrix.facts["sv"]["rank"]
        {
            assert!((norm(&x) / shortest - 1.0).abs() < 1e-4, "{name}: |x| is {}, not {shortest}", norm(&x));
            assert!((rest - least).abs() <= 1e-6 * least + RTOL * norm(&b), "{name}: |r| is {rest}, not {least}");
            compared += 1;
        }
    }
    assert_eq!(compared, 5);
    Ok(())
}
