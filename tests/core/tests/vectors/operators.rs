//! Operators and what is composed of them, against dense matrices.

use std::cell::Cell;

use dolmen_core::random::Philox;
use dolmen_core::{
    Adjoint, AdjointOperator, BlockLayout, BlockOperator, Comm, Diagonal, Error, FnOperator, Identity, KnownDiagonal,
    Layout, LinearOperator, Product, Real, Result, Scalar, Scaled, Sum, Vector, check_adjoint,
};
use dolmen_tests::TestResult;

use dolmen_core_tests::{
    all_scalars, close, dense, layout, lengths, property, require, same_entries, value, vector, verdict,
};

/// A dense matrix as an operator that gathers its input: entry `(i, j)` is a value of seed and both.
fn dense_operator<T: Scalar>(domain: &Layout, range: &Layout, seed: u64) -> impl AdjointOperator<T> + use<T> {
    let multiply = move |x: &Vector<T>, y: &mut Vector<T>, entry: &dyn Fn(u64, u64) -> T| -> Result<()> {
        let all = x.gather_all();
        let rows = y.range();
        for (slot, i) in y.owned_mut().iter_mut().zip(rows) {
            *slot = all.iter().zip(0..).map(|(&x, j)| entry(i, j) * x).sum();
        }
        Ok(())
    };
    FnOperator::new(domain, range, move |x: &Vector<T>, y: &mut Vector<T>| multiply(x, y, &|i, j| entry(seed, i, j)))
        .with_adjoint(move |x: &Vector<T>, y: &mut Vector<T>| multiply(x, y, &|i, j| entry::<T>(seed, j, i).conj()))
}

fn entry<T: Scalar>(seed: u64, i: u64, j: u64) -> T {
    value(seed, i * 1000 + j)
}

/// A small dense matrix, by rows: the oracle.
#[derive(Clone)]
struct Dense<T>(Vec<Vec<T>>);

impl<T: Scalar> Dense<T> {
    fn new(rows: u64, columns: u64, entry: impl Fn(u64, u64) -> T) -> Dense<T> {
        Dense((0..rows).map(|i| (0..columns).map(|j| entry(i, j)).collect()).collect())
    }

    fn times(&self, x: &[T]) -> Vec<T> {
        self.0.iter().map(|row| row.iter().zip(x).map(|(&a, &x)| a * x).sum()).collect()
    }

    fn adjoint_times(&self, x: &[T], columns: u64) -> Vec<T> {
        let columns = usize::try_from(columns).expect("small");
        (0..columns).map(|j| self.0.iter().zip(x).map(|(row, &x)| row[j].conj() * x).sum()).collect()
    }
}

fn linear<T: Scalar>(alpha: T, a: &[T], beta: T, b: &[T]) -> Vec<T> {
    a.iter().zip(b).map(|(&a, &b)| alpha * a + beta * b).collect()
}

/// Compares products relative to the length.
fn same_product<T: Scalar>(what: &str, found: &Vector<T>, expected: &[T], size: f64) {
    for (row, &entry) in found.range().zip(found.owned()) {
        let expected = usize::try_from(row).ok().and_then(|row| expected.get(row)).copied().unwrap_or_default();
        close(what, entry, expected, size);
    }
}

/// `A x` and `A^H y` against what they should be.
fn check<T: Scalar>(what: &str, a: &impl AdjointOperator<T>, forward: &[T], backward: &[T], seed: u64) -> TestResult {
    let size = 10.0 + (a.domain().global_len() * a.range().global_len()) as f64;
    let (mut image, mut back) = (Vector::zeros(a.range()), Vector::zeros(a.domain()));
    // What was there before must not count.
    image.fill(T::from_parts(f64::NAN, 0.0));
    back.fill(T::from_parts(f64::NAN, 0.0));
    a.apply(&vector(a.domain(), seed), &mut image)?;
    a.apply_adjoint(&vector(a.range(), seed), &mut back)?;
    same_product(what, &image, forward, size);
    same_product(&format!("adjoint of {what}"), &back, backward, size);
    let mismatch = check_adjoint(a, seed)?;
    let tolerance = 64.0 * size * T::Real::EPSILON.to_f64();
    require(mismatch < tolerance, || format!("{what}: adjoint test {mismatch}"));
    Ok(())
}

pub(crate) fn compositions(comm: &Comm) -> TestResult {
    let layouts = (lengths(comm.size()), lengths(comm.size()));
    property(comm, 12, (layouts, 0u64..1000), |((first, second), seed)| {
        all_scalars!(composed(&layout(comm, first), &layout(comm, second), *seed));
        Ok(())
    })?;
    all_scalars!(diagonals(comm));
    all_scalars!(known_diagonals(comm));
    all_scalars!(wrong_adjoint(comm));
    Ok(verdict(comm)?)
}

fn composed<T: Scalar>(domain: &Layout, range: &Layout, seed: u64) -> TestResult {
    let (n, m) = (domain.global_len(), range.global_len());
    let (a, b) = (dense_operator::<T>(domain, range, seed), dense_operator::<T>(domain, range, seed + 1));
    let [da, db] = [0, 1].map(|salt| Dense::new(m, n, |i, j| entry::<T>(seed + salt, i, j)));
    let (x, y) = (dense::<T>(seed, n), dense::<T>(seed, m));
    let (alpha, beta) = (value::<T>(7, 7), value::<T>(8, 8));
    let (ax, bx) = (da.times(&x), db.times(&x));
    let (ay, by) = (da.adjoint_times(&y, n), db.adjoint_times(&y, n));

    check("FnOperator", &a, &ax, &ay, seed)?;
    check("Adjoint", &Adjoint::new(&a), &ay, &ax, seed)?;
    let zeros = vec![T::ZERO; usize::try_from(n.max(m))?];
    let scaled = [linear(alpha, &ax, T::ZERO, &zeros), linear(alpha.conj(), &ay, T::ZERO, &zeros)];
    check("Scaled", &Scaled::new(alpha, &a), &scaled[0], &scaled[1], seed)?;
    let sum = Sum::new(alpha, &a, beta, Box::new(&b))?;
    let sums = [linear(alpha, &ax, beta, &bx), linear(alpha.conj(), &ay, beta.conj(), &by)];
    check("Sum", &sum, &sums[0], &sums[1], seed)?;
    let normal = Product::new(Adjoint::new(&a), &b)?;
    check("Product", &normal, &da.adjoint_times(&bx, n), &db.adjoint_times(&ax, n), seed)?;
    check("Identity", &Identity::new(domain), &x, &x, seed)?;
    let d = Diagonal::new(vector::<T>(domain, seed + 2));
    let times = |conjugate: bool| -> Vec<T> {
        let factors = dense::<T>(seed + 2, n).into_iter().map(|d| if conjugate { d.conj() } else { d });
        factors.zip(&x).map(|(d, &x)| d * x).collect()
    };
    check("Diagonal", &d, &times(false), &times(true), seed)
}

fn diagonals<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 11);
    let (alpha, beta) = (value::<T>(7, 7), value::<T>(8, 8));
    let d = Diagonal::new(vector::<T>(&layout, 3));
    let shifted = Sum::new(alpha, Adjoint::new(&d), beta, Scaled::new(alpha, Identity::new(&layout)))?;
    let expected: Vec<T> = dense::<T>(3, 11).into_iter().map(|d| alpha * d.conj() + beta * alpha).collect();
    same_entries("diagonal", &shifted.diagonal().ok_or("a sum of diagonals is known")?, &expected);
    let unknown = dense_operator::<T>(&layout, &layout, 1);
    require(unknown.diagonal().is_none(), || "a closure does not know its diagonal".to_owned());
    require(Sum::new(alpha, &d, beta, unknown)?.diagonal().is_none(), || "nor does a sum with it".to_owned());
    Ok(())
}

/// A given diagonal is returned, and products do not change.
fn known_diagonals<T: Scalar>(comm: &Comm) -> TestResult {
    let (layout, other) = (Layout::uniform(comm, 11), Layout::uniform(comm, 12));
    let operator = || dense_operator::<T>(&layout, &layout, 1);
    let d = vector::<T>(&layout, 3);
    let a = KnownDiagonal::new(operator(), d.clone())?;
    same_entries("a diagonal that was given", &a.diagonal().ok_or("it was given")?, &dense::<T>(3, 11));
    require(a.as_diagonal().is_none(), || "more than a diagonal".to_owned());
    let conjugated: Vec<T> = dense::<T>(3, 11).into_iter().map(T::conj).collect();
    same_entries("its adjoint", &Adjoint::new(&a).diagonal().ok_or("it was given")?, &conjugated);
    let matrix = Dense::new(11, 11, |i, j| entry::<T>(1, i, j));
    let x = dense::<T>(1, 11);
    check("KnownDiagonal", &a, &matrix.times(&x), &matrix.adjoint_times(&x, 11), 1)?;

    let refused = |result: Result<()>, what: &str| {
        let text = result.err().map(|error| error.to_string()).unwrap_or_default();
        require(text.contains(what), || format!("'{text}' does not say '{what}'"));
    };
    refused(KnownDiagonal::new(operator(), vector::<T>(&other, 3)).map(drop), "diagonal of an operator");
    let rectangular = dense_operator::<T>(&other, &layout, 1);
    refused(KnownDiagonal::new(rectangular, d.clone()).map(drop), "operator with a diagonal");
    let closure = FnOperator::new(&layout, &layout, |x: &Vector<T>, y: &mut Vector<T>| y.copy_from(x));
    same_entries("of a closure", &closure.with_diagonal(d)?.diagonal().ok_or("given")?, &dense::<T>(3, 11));
    Ok(())
}

/// A closure that fails on one rank alone fails on all of them, and works on when it works.
pub(crate) fn fallible_closures(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 9);
    let failing = Cell::new(false);
    let last = comm.size() - 1;
    let double = |x: &Vector<f64>, y: &mut Vector<f64>| match failing.get() && comm.rank() == last {
        true => Err("the disk is full"),
        false => {
            y.owned_mut().iter_mut().zip(x.owned()).for_each(|(y, x)| *y = 2.0 * x);
            Ok(())
        }
    };
    let a = FnOperator::fallible(&layout, &layout, double).with_fallible_adjoint(double);
    check(
        "fallible",
        &a,
        &linear(2.0, &dense(5, 9), 0.0, &dense(5, 9)),
        &linear(2.0, &dense(5, 9), 0.0, &dense(5, 9)),
        5,
    )?;
    failing.set(true);
    let (x, mut y) = (vector::<f64>(&layout, 5), Vector::zeros(&layout));
    let expected = Error::Agreed { rank: last, everywhere: last == 0, message: "the disk is full".to_owned() };
    for outcome in [a.apply(&x, &mut y), a.apply_adjoint(&x, &mut y)] {
        require(outcome.as_ref() == Err(&expected), || format!("{outcome:?}"));
    }
    Ok(verdict(comm)?)
}

/// The adjoint test measures what is wrong with an adjoint.
fn wrong_adjoint<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 20);
    let d = vector::<T>(&layout, 3);
    let multiply = |x: &Vector<T>, y: &mut Vector<T>| {
        y.copy_from(x)?;
        y.multiply(&d)
    };
    let wrong = |x: &Vector<T>, y: &mut Vector<T>| {
        y.copy_from(x)?;
        y.map_with(&d, |y, d| d.conj() * y)?;
        let extra = [(4, T::ONE)];
        y.add_entries(if comm.rank() == 0 { &extra } else { &[] })
    };
    let mismatch = check_adjoint(&FnOperator::new(&layout, &layout, multiply).with_adjoint(wrong), 1)?;
    // What is too much in <x, A^H y> is conj(x[4]).
    let random = Philox::new(1);
    let [mut x, mut y, mut image] = [0; 3].map(|_| Vector::zeros(&layout));
    x.fill_normal(&random, 0);
    y.fill_normal(&random, 1);
    multiply(&x, &mut image)?;
    let excess = x.get_entries(&[4])?[0].abs().to_f64();
    let expected = excess / (image.norm2().to_f64() * y.norm2().to_f64());
    let noise = 32.0 * T::Real::EPSILON.to_f64();
    require((mismatch - expected).abs() < noise, || format!("a mismatch of {mismatch} instead of {expected}"));
    Ok(())
}

pub(crate) fn blocks(comm: &Comm) -> TestResult {
    let layouts = (lengths(comm.size()), lengths(comm.size()));
    property(comm, 12, (layouts, 0u64..1000), |((first, second), seed)| {
        all_scalars!(saddle_point(&layout(comm, first), &layout(comm, second), *seed));
        Ok(())
    })
}

/// The operator `[D B^H; B 0]` and its adjoint.
fn saddle_point<T: Scalar>(u: &Layout, p: &Layout, seed: u64) -> TestResult {
    let stack = BlockLayout::new(&[u, p])?;
    let (n, m) = (u.global_len(), p.global_len());
    let d = Diagonal::new(vector::<T>(u, seed));
    let b = dense_operator::<T>(u, p, seed);
    let adjoint = Adjoint::new(&b);
    let grid: Vec<Vec<Option<&dyn AdjointOperator<T>>>> = vec![vec![Some(&d), Some(&adjoint)], vec![Some(&b), None]];
    let a = BlockOperator::new(&stack, &stack, grid)?;
    let x = stack.join(&[&vector(u, seed + 1), &vector(p, seed + 2)])?;
    let (xu, xp) = (dense::<T>(seed + 1, n), dense::<T>(seed + 2, m));
    let matrix = Dense::new(m, n, |i, j| entry::<T>(seed, i, j));
    let size = 10.0 + (n * m) as f64;

    for conjugated in [false, true] {
        let mut y = Vector::zeros(stack.stacked());
        y.fill(T::from_parts(f64::NAN, 0.0));
        if conjugated {
            a.apply_adjoint(&x, &mut y)?
        } else {
            a.apply(&x, &mut y)?
        }
        let factors = dense::<T>(seed, n).into_iter().map(|d| if conjugated { d.conj() } else { d });
        let top = factors.zip(&xu).zip(matrix.adjoint_times(&xp, n)).map(|((d, &x), b)| d * x + b);
        let parts = stack.split(&y)?;
        same_product("top block", &parts[0], &top.collect::<Vec<_>>(), size);
        same_product("bottom block", &parts[1], &matrix.times(&xu), size);
    }
    let size = 100.0 * (10.0 + (n * m) as f64);
    require(check_adjoint(&a, seed)? < size * T::Real::EPSILON.to_f64(), || "adjoint test of the grid".to_owned());
    require(stack.block(&x, 1)? == vector::<T>(p, seed + 2).owned(), || "block".to_owned());
    let diagonal = a.diagonal().ok_or("the diagonal blocks know theirs")?;
    let parts = stack.split(&diagonal)?;
    same_entries("diagonal", &parts[0], &dense(seed, n));
    same_entries("diagonal of a block of zeros", &parts[1], &vec![T::ZERO; usize::try_from(m)?]);
    Ok(())
}
