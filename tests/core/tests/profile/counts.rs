//! Flops, bytes and messages of operations, worked by hand.

use dolmen_core::profile::{self, Profile, Summary};
use dolmen_core::{
    BlockCsrMatrix, Combine, Comm, Complex64, CsrMatrix, ExchangePlan, Graph, IndexMap, Layout, LinearOperator,
    Redistribute, Scalar, Vector, dots,
};
use dolmen_tests::TestResult;

use crate::find;

/// Rows on each rank.
const ROWS: u64 = 10;

fn tridiagonal<T: Scalar>(comm: &Comm) -> TestResult<CsrMatrix<T>> {
    let rows = ROWS * comm.size() as u64;
    let layout = Layout::uniform(comm, rows);
    Ok(CsrMatrix::from_rows(&layout, &layout, |row, entries| {
        for column in row.saturating_sub(1)..(row + 2).min(rows) {
            entries.push(column, T::from_parts(1.0, 0.0));
        }
    })?)
}

/// Three products of a tridiagonal matrix.
fn three_products<T: Scalar>(comm: &Comm) -> TestResult<Summary> {
    let a = tridiagonal::<T>(comm)?;
    let x = Vector::from_fn(a.domain(), |_| T::ONE);
    let mut y = Vector::zeros(a.range());
    let profile = Profile::start(comm)?;
    a.apply(&x, &mut y)?;
    a.apply(&x, &mut y)?;
    a.apply_add(&x, &mut y)?;
    Ok(profile.finish().0)
}

pub(crate) fn products(comm: &Comm) -> TestResult {
    let ranks = comm.size() as u64;
    let summary = three_products::<f64>(comm)?;
    let product = find(&summary, "MatMult").ok_or("no MatMult")?;
    let (rows, entries) = (ROWS * ranks, 3 * ROWS * ranks - 2);
    assert_eq!((product.count, product.min_count), (3, 3));
    assert_eq!(product.flops, 3 * 2 * entries);
    // Each rank sends one value to each side; the ends of the chain have one side only.
    let messages = 2 * (ranks - 1);
    // Values and columns, row starts, x with its ghosts, y; the last product reads y too.
    let bytes = 12 * entries + 8 * rows + 8 * (rows + messages) + 8 * rows;
    assert_eq!(product.bytes, 3 * bytes + 8 * rows);
    assert_eq!((product.messages, product.message_bytes), (3 * messages, 3 * 8 * messages));
    assert_eq!((summary.total().flops, summary.total().messages), (product.flops, product.messages));
    if ranks == 1 {
        // Nothing is exchanged.
        assert_eq!(summary.events().len(), 2);
        return Ok(());
    }
    let begin = find(&summary, "MatMult/ExchangeBegin").ok_or("no ExchangeBegin")?;
    assert_eq!((begin.count, begin.messages, begin.message_bytes), (3, 3 * messages, 3 * 8 * messages));
    let end = find(&summary, "MatMult/ExchangeEnd").ok_or("no ExchangeEnd")?;
    assert_eq!((end.count, end.messages), (3, 0));
    assert_eq!(summary.events().len(), 4);
    Ok(())
}

pub(crate) fn complex_products(comm: &Comm) -> TestResult {
    let summary = three_products::<Complex64>(comm)?;
    let product = find(&summary, "MatMult").ok_or("no MatMult")?;
    assert_eq!(product.flops, 3 * 8 * (3 * 2 * ROWS - 2));
    assert_eq!((product.messages, product.message_bytes), (3 * 2, 3 * 2 * 16));
    Ok(())
}

/// Events of what is made of matrices.
pub(crate) fn algebra(comm: &Comm) -> TestResult {
    let a = tridiagonal::<f64>(comm)?;
    let n = ROWS * comm.size() as u64;
    let blocks = BlockCsrMatrix::from_csr(2, &a)?;
    let (x, mut y) = (Vector::from_fn(a.domain(), |_| 1.0), Vector::zeros(a.range()));
    let profile = Profile::start(comm)?;
    let mut square = a.multiply(&a)?;
    let plan = square.plan_multiply(&a, &a)?;
    square.refill_multiply(&plan, &a, &a)?;
    a.add(1.0, &a, 2.0)?;
    a.transpose()?;
    a.triple_product(&a)?;
    a.submatrix(&[0], &[])?;
    blocks.apply(&x, &mut y)?;
    Graph::from_matrix(&a)?.coloring();
    let (summary, _) = profile.finish();
    // Row k of three entries meets the three of column k; those at the ends have two.
    let summands = 9 * (n - 2) + 2 * 4;
    let entries = 3 * n - 2;
    // The chain of blocks of two rows.
    let in_blocks = 4 * (3 * (n / 2) - 2);
    for (name, count, flops) in [
        ("MatMatMult", 2, 2 * 2 * summands),
        ("MatAXPY", 1, 2 * entries),
        ("MatTranspose", 1, 0),
        ("MatPtAP", 1, 0),
        ("MatCreateSubMatrix", 1, 0),
        ("MatMult", 1, 2 * in_blocks),
        ("GraphAssembly", 1, 0),
        ("GraphColoring", 1, 0),
    ] {
        let event = find(&summary, name).ok_or(name)?;
        assert_eq!((event.count, event.flops), (count, flops), "{name}");
    }
    Ok(())
}

pub(crate) fn exchanges(comm: &Comm) -> TestResult {
    let (rank, ranks) = (comm.rank() as u64, comm.size() as u64);
    let layout = Layout::uniform(comm, ROWS * ranks);
    // Two rows of the next rank around the circle.
    let first = (rank + 1) % ranks * ROWS;
    let map = IndexMap::new(vec![first + 3, first + 7])?;
    let plan = ExchangePlan::new(&layout, &map)?;
    let mut owned = vec![1.0f32; usize::try_from(3 * ROWS)?];
    let profile = Profile::start(comm)?;
    let copies = plan.start_import(&owned, 3).finish();
    plan.start_export(&copies, 3).finish(Combine::Add, &mut owned);
    drop(copies);
    let moved = Layout::on_one_rank(comm, ROWS * ranks, 0)?;
    let x = Vector::from_fn(&layout, |row| row as f64);
    Redistribute::new(&layout, &moved)?.apply(&x, &mut Vector::zeros(&moved))?;
    let (summary, _) = profile.finish();
    // On one rank a message to itself is none.
    let messages = if ranks > 1 { 2 * ranks } else { 0 };
    let begin = find(&summary, "ExchangeBegin").ok_or("no ExchangeBegin")?;
    assert_eq!((begin.count, begin.messages, begin.message_bytes), (2, messages, messages * 2 * 3 * 4));
    let moving = find(&summary, "Redistribute").ok_or("no Redistribute")?;
    assert_eq!((moving.count, moving.messages, moving.message_bytes), (1, ranks - 1, (ranks - 1) * ROWS * 8));
    Ok(())
}

pub(crate) fn vectors(comm: &Comm) -> TestResult {
    let ranks = comm.size() as u64;
    // Blocks of sums are cut where ranks meet, so that nothing is sent.
    let n = 256 * ranks;
    let layout = Layout::uniform(comm, n);
    let mut x = Vector::<f64>::from_fn(&layout, |row| row as f64);
    let y = x.clone();
    let profile = Profile::start(comm)?;
    x.axpy(2.0, &y)?;
    x.axpby(2.0, &y, 3.0)?;
    x.scale(0.5);
    x.multi_axpy(&[1.0, 2.0], &[&y, &y])?;
    x.dot(&y)?;
    dots([(&x, &y), (&x, &x)], dolmen_core::Reduction::default())?;
    x.norm2();
    let (summary, _) = profile.finish();
    // Name, flops and vectors moved for each entry, reductions.
    let expected = [
        ("VecAXPY", 2, 3, 0),
        ("VecAXPBY", 3, 3, 0),
        ("VecScale", 1, 2, 0),
        ("VecMAXPY", 4, 4, 0),
        ("VecDot", 2, 2, 1),
        ("VecMDot", 4, 4, 1),
        ("VecNorm", 2, 1, 1),
    ];
    for (name, flops, moved, reductions) in expected {
        let event = find(&summary, name).ok_or(name)?;
        assert_eq!((event.count, event.flops, event.bytes), (1, flops * n, moved * 8 * n), "{name}");
        let inside = find(&summary, &format!("{name}/AllReduce"));
        assert_eq!(inside.map_or(0, |event| event.count), reductions, "reductions of {name}");
    }
    assert_eq!(summary.total().messages, 0);
    assert_eq!(summary.events().len(), 1 + expected.len() + 3);
    Ok(())
}

pub(crate) fn own_messages(comm: &Comm) -> TestResult {
    let profile = Profile::start(comm)?;
    if comm.rank() == 1 {
        let _event = profile::event("Mail").messages(2, 700).flops(5).flops(6).bytes(70);
    }
    // A message to oneself is none.
    let to_next = vec![((comm.rank() + 1) % 3, vec![1u16; 5]), (comm.rank(), vec![1; 9])];
    comm.sparse_exchange(&to_next);
    let (summary, _) = profile.finish();
    let mail = find(&summary, "Mail").ok_or("no Mail")?;
    assert_eq!((mail.messages, mail.message_bytes, mail.flops, mail.bytes), (2, 700, 11, 70));
    assert_eq!((mail.count, mail.min_count, mail.time.max_rank, mail.time.min), (1, 0, 1, 0.0));
    let sent = find(&summary, "SparseExchange").ok_or("no SparseExchange")?;
    assert_eq!((sent.messages, sent.message_bytes), (3, 30));
    Ok(())
}
