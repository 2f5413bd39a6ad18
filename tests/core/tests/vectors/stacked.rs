//! Stacked layouts: global numbers run through one block after the other on any number of ranks, so that
//! sums have the same bits and what moves arrives in its place.

use dolmen_core::random::Philox;
use dolmen_core::{
    BandedDiagonal, BlockLayout, Comm, CsrMatrix, Error, ExchangePlan, Graph, IndexMap, Layout, MultiVector, Real,
    Redistribute, Reduction, Renumbering, Result, Scalar, Vector, dots, update_dots,
};
use dolmen_tests::{Checksums, TestResult};

use dolmen_core_tests::{all_scalars, checksum, fails, uneven_layout};

/// Two even blocks and an uneven one; neither length is a multiple of 256.
fn stack(comm: &Comm) -> TestResult<BlockLayout> {
    let [first, second] = [3000, 1111].map(|len| Layout::uniform(comm, len));
    Ok(BlockLayout::new(&[&first, &second, &uneven_layout(comm, 777)?])?)
}

const LEN: u64 = 3000 + 1111 + 777;

pub(crate) fn reductions(comm: &Comm) -> TestResult<Checksums> {
    let stack = stack(comm)?;
    let mut sums = Checksums::new();
    all_scalars!(sums_of(stack.stacked(), &mut sums));
    Ok(sums)
}

fn sums_of<T: Scalar>(layout: &Layout, sums: &mut Checksums) -> TestResult {
    let random = Philox::new(4);
    let [mut x, mut y] = [0; 2].map(|_| Vector::<T>::zeros(layout));
    x.fill_normal(&random, 0);
    y.fill_uniform(&random, 1);
    let bits = |value: T::Double| value.re().to_bits() ^ value.im().to_bits().rotate_left(1);
    let mut record = |what: &str, bits: u64| sums.push((format!("{what} of {}", T::NAME), bits));
    record("dot", bits(x.dot(&y)?));
    record("sum", bits(y.sum(Reduction::Reproducible)));
    record("norm1", x.norm1().to_bits());
    record("norm2", x.norm2().to_bits());
    let mut out = [T::Double::ZERO; 2];
    x.multi_dot(&[&x, &y], Reduction::Reproducible, &mut out)?;
    assert_eq!(out, [x.dot(&x)?, y.dot(&x)?], "several products have the bits of each by itself");
    let out = dots([(&y, &x), (&y, &y)], Reduction::Reproducible)?;
    record("dots", bits(out[1]));
    let factor = T::from_parts(0.3, 0.1);
    let change = |[x]: [T; 1], [y]: [T; 1]| {
        let x = x + factor * y;
        ([x], [(x, y)])
    };
    let [product] = update_dots([&mut x], [&y], Reduction::Reproducible, change)?;
    assert_eq!(product, x.dot(&y)?, "every entry is changed once");
    record("update_dots", bits(product));
    let mut columns = MultiVector::<T>::zeros(layout, 5);
    columns.fill_normal(&random, 7);
    let mut norms = [0.0; 5];
    columns.column_norms(Reduction::Reproducible, &mut norms)?;
    record("column norm", norms[4].to_bits());
    let gram = columns.gram(&columns, Reduction::Reproducible)?;
    record("gram", gram.iter().fold(0, |sum: u64, x| sum.rotate_left(5) ^ x.re().to_f64().to_bits()));
    columns.cholesky_qr2()?;
    columns.copy_column_to(4, &mut x)?;
    record("Q", checksum(layout.comm(), &x.redistributed(&Layout::uniform(layout.comm(), LEN))?.into_owned()));
    Ok(())
}

pub(crate) fn numbers(comm: &Comm) -> TestResult {
    let stack = stack(comm)?;
    let layout = stack.stacked();
    assert!(layout.is_stacked() && layout.global_len() == LEN && layout.runs().len() == 3);
    let x = Vector::from_fn(layout, |row| row as f64);
    let whole: Vec<f64> = (0..LEN).map(|row| row as f64).collect();
    assert_eq!(x.gather_all(), whole);
    let last = comm.size() - 1;
    assert_eq!(Vector::scatter(layout, last, if comm.rank() == last { &whole } else { &[] })?.owned(), x.owned());
    // The second block by itself, as a slice and as a subvector, which is on the layout of the block.
    let second = Vector::from_fn(&stack.blocks()[1], |row| (3000 + row) as f64);
    assert_eq!(stack.block(&x, 1)?, second.owned());
    let part = x.subvector(3000..4111)?;
    assert!(part.layout() == second.layout() && part.owned() == second.owned());
    let mut y = Vector::zeros(layout);
    y.set_subvector(2999..4112, &x.subvector(2999..4112)?)?;
    assert_eq!((y.sum(Reduction::Fast), y.max_at()), ((2999..4112u64).sum::<u64>() as f64, Some((4111, 4111.0))));
    // From anywhere to anywhere.
    for other in [Layout::uniform(comm, LEN), uneven_layout(comm, LEN)?, Layout::on_one_rank(comm, LEN, last)?] {
        let plan = Redistribute::new(layout, &other)?;
        let mut moved = Vector::zeros(&other);
        plan.apply(&x, &mut moved)?;
        assert!(moved.range().zip(moved.owned()).all(|(row, &value)| value == row as f64), "{other:?}");
        y.fill(0.0);
        plan.apply_reverse(&moved, &mut y)?;
        assert_eq!(y.owned(), x.owned());
    }
    entries(layout, x)
}

fn entries(layout: &Layout, mut x: Vector<f64>) -> TestResult {
    let rows = [LEN - 1, 0, 3000, 2999, 4110, 4111];
    assert_eq!(x.get_entries(&rows)?, rows.map(|row| row as f64));
    x.set_entries(&[(3000, -5.0)])?;
    x.add_entries(if layout.comm().rank() == 0 { &[(4111, 0.5)] } else { &[] })?;
    assert_eq!(x.get_entries(&[3000, 4111])?, [-5.0, 4111.5]);
    assert_eq!((x.min_at(), x.max_at()), (Some((3000, -5.0)), Some((LEN - 1, (LEN - 1) as f64))));
    let owned: Vec<u64> = layout.owned_rows().collect();
    assert!(owned.iter().enumerate().all(|(at, &row)| layout.global_to_owned(row) == Some(at)));
    assert!(owned.iter().all(|&row| layout.owner(row) == Some(layout.comm().rank())));
    assert_eq!((layout.owner(LEN), layout.global_to_owned(LEN)), (None, None));
    Ok(())
}

/// A stack is not its rows in a row, and one in another order is another one.
pub(crate) fn equality(comm: &Comm) -> TestResult {
    let [u, p] = [5, 3].map(|len| Layout::uniform(comm, len));
    let stacked = |blocks: &[&Layout]| Ok::<_, Error>(BlockLayout::new(blocks)?.stacked().clone());
    let up = stacked(&[&u, &p])?;
    assert!(up == stacked(&[&u, &p])?);
    assert!(up != stacked(&[&p, &u])? && up != Layout::uniform(comm, 8));
    assert!(stacked(&[&u])? == u && !u.is_stacked());
    assert!(stacked(&[&up, &p])? == stacked(&[&u, &p, &p])?);
    assert!(up.refined(3)?.coarsened(3)? == up);
    fails(comm, Vector::<f64>::zeros(&up).dot(&Vector::zeros(&stacked(&[&p, &u])?)), "different layouts")
}

pub(crate) fn refusals(comm: &Comm) -> TestResult {
    let plain = Layout::uniform(comm, LEN);
    let stack = stack(comm)?;
    let layout = stack.stacked();
    let none = || std::iter::empty::<(u64, u64, f64)>();
    let matrix = |range, domain| CsrMatrix::from_triplets(range, domain, none(), dolmen_core::Duplicates::Add);
    let starts = vec![0; layout.local_len() + 1];
    let map = IndexMap::new(vec![0])?;
    let ids = || plain.range().collect();
    let results: [(&str, Result<()>); 9] = [
        ("rows of a matrix", matrix(layout, &plain).map(drop)),
        ("columns of a matrix", matrix(&plain, layout).map(drop)),
        ("rows of a matrix", CsrMatrix::<f64>::from_rows(layout, layout, |_, _| {}).map(drop)),
        ("rows of a matrix", CsrMatrix::<f64>::from_local_parts::<u64>(layout, layout, starts, &[], vec![]).map(drop)),
        ("exchange plan", ExchangePlan::new(layout, &map).map(drop)),
        ("graph", Graph::from_edges(layout, []).map(drop)),
        ("renumbering", Renumbering::new(&plain, layout, ids()).map(drop)),
        ("renumbering", Renumbering::new(layout, &plain, ids()).map(drop)),
        ("band matrices along the diagonal", BandedDiagonal::<f64>::new(layout, vec![]).map(drop)),
    ];
    for (operation, result) in results {
        fails(comm, result, &format!("{operation}: a stacked layout of 3 blocks cannot be used here"))?;
    }
    Ok(())
}
