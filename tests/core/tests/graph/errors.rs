//! A mistake of one rank is the same error on all of them.

use dolmen_core::{
    Comm, CsrMatrix, Duplicates, Gid, Graph, Layout, MultiVector, Partition, Partitioner, Renumbering, Result, Vector,
};
use dolmen_tests::TestResult;

/// All ranks fail alike, with a message that contains `part`.
fn fails<V>(comm: &Comm, result: Result<V>, part: &str) -> TestResult {
    let message = result.err().ok_or_else(|| format!("no error that says '{part}'"))?.to_string();
    assert!(message.contains(part), "'{message}' does not say '{part}'");
    let first = comm.gather(0, message.as_bytes());
    let same = first.is_none_or(|all| all.iter().all(|other| *other == all[0]));
    Ok(comm.agree(if same { Ok(()) } else { Err("the ranks say different things") })?)
}

fn last(comm: &Comm) -> bool {
    comm.rank() + 1 == comm.size()
}

fn path(layout: &Layout) -> Result<Graph> {
    Graph::from_edges(layout, layout.range().skip(usize::from(layout.range().start == 0)).map(|v| (v - 1, v)))
}

fn matrix(range: &Layout, domain: &Layout) -> Result<CsrMatrix<f64>> {
    CsrMatrix::from_triplets(range, domain, [(0, 0, 1.0)], Duplicates::Insert)
}

pub(crate) fn bad_graphs(comm: &Comm) -> TestResult {
    let (layout, longer) = (Layout::uniform(comm, 10), Layout::uniform(comm, 11));
    fails(comm, Graph::from_matrix(&matrix(&layout, &longer)?), "which has to be square: the operands live on")?;
    if comm.size() > 1 {
        let elsewhere = Layout::on_one_rank(comm, 10, 0)?;
        fails(comm, Graph::from_matrix(&matrix(&layout, &elsewhere)?), "split differently")?;
    }
    for edge in [(10, 3), (3, 10), (10, 10), (2, u64::MAX)] {
        fails(comm, Graph::from_edges(&layout, last(comm).then_some(edge)), "vertex: global index 1")?;
    }
    let colors = vec![0; layout.local_len() + usize::from(last(comm))];
    fails(comm, path(&layout)?.color_conflict(&colors), "colors of vertices: expected")
}

pub(crate) fn bad_partitions(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 10);
    let graph = path(&layout)?;
    fails(
        comm,
        Partitioner::new(0).partition(&graph),
        "partition into 0 parts: the number of parts must be at least 1",
    )?;
    fails(comm, Partitioner::new(usize::MAX).partition(&graph), "parts are numbered by 32 bits")?;
    let many = 1 << 30;
    fails(comm, Partition::new(&graph, many, vec![0; layout.local_len()]), "can have at most 1048576 parts")?;
    fails(comm, Partitioner::new(many).partition(&graph), "a graph of 10 vertices can have at most 1048576 parts")?;
    let mut parts = vec![1; layout.local_len()];
    parts[0] += u32::from(last(comm));
    fails(comm, Partition::new(&graph, 2, parts), "part of a row: global index 2 is outside 0..2")?;
    let short = vec![0; layout.local_len() - usize::from(last(comm))];
    fails(comm, Partition::new(&graph, 2, short), "parts of rows: expected")
}

pub(crate) fn bad_renumberings(comm: &Comm) -> TestResult {
    let (layout, longer) = (Layout::uniform(comm, 10), Layout::uniform(comm, 11));
    let same = || layout.range().collect::<Vec<Gid>>();
    let with = |row: Gid, number: Gid| {
        let mut numbers = same();
        if let Some(position) = layout.global_to_owned(row) {
            numbers[position] = number;
        }
        Renumbering::new(&layout, &layout, numbers)
    };
    fails(comm, Renumbering::new(&layout, &longer, same()), "different layouts (10 and 11")?;
    fails(comm, Renumbering::new(&layout, &layout, same()[usize::from(last(comm))..].to_vec()), "new numbers of rows")?;
    fails(comm, with(9, 10), "new number of a row: global index 10 is outside 0..10")?;
    fails(comm, with(9, 4), "new row 4 is given to 2 rows, not to one")?;
    fails(comm, with(0, 9), "new row 0 is given to 0 rows, not to one")?;
    let renumbering = Renumbering::new(&layout, &layout, same())?;
    let (x, mut y, mut other) = (Vector::<f64>::zeros(&layout), Vector::zeros(&layout), Vector::zeros(&longer));
    let mismatch = "renumbering: the operands live on different layouts (10 and 11";
    fails(comm, renumbering.apply(&x, &mut other), mismatch)?;
    fails(comm, renumbering.apply(&other, &mut y), mismatch)?;
    fails(comm, renumbering.apply_reverse(&other, &mut y), mismatch)?;
    let many = |columns| MultiVector::<f64>::zeros(&layout, columns);
    fails(comm, renumbering.apply_columns(&many(2), &mut many(3)), "expected 10 by 3 entries, found 10 by 2")?;
    fails(comm, renumbering.apply_columns_reverse(&many(2), &mut many(3)), "expected 10 by 3 entries, found 10 by 2")?;
    fails(comm, renumbering.graph(&path(&longer)?), "renumbering of a graph")?;
    fails(comm, matrix(&layout, &longer)?.renumbered(&renumbering, &renumbering), "renumbering of columns")?;
    fails(comm, matrix(&longer, &layout)?.renumbered(&renumbering, &renumbering), "renumbering of rows")
}
