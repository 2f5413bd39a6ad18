//! Every mistake gives the same error on all ranks, and leaves them in step.

use dolmen_core::{
    BlockLayout, BlockOperator, Comm, Error, Identity, Layout, LinearOperator, MultiVector, Product, Redistribute,
    Reduction, Result, Sum, Vector, dots,
};
use dolmen_tests::TestResult;

/// The error's text, which has to be the same everywhere.
fn same_error<T>(comm: &Comm, what: &str, result: Result<T>) -> TestResult<Error> {
    let error = comm.agree(result.err().ok_or(format!("{what} succeeds")))?;
    let mut text = error.to_string().into_bytes();
    let mine = text.clone();
    comm.broadcast(0, &mut text);
    comm.agree(if text == mine { Ok(()) } else { Err(format!("{what}: another text on rank {}", comm.rank())) })?;
    Ok(error)
}

pub(crate) fn agreed(comm: &Comm) -> TestResult {
    layouts_differ(comm)?;
    one_rank_is_wrong(comm)?;
    shapes_differ(comm)?;
    // All ranks are still in step.
    let mut ranks = [1u64];
    comm.all_reduce_sum(&mut ranks);
    assert_eq!(ranks[0], comm.size() as u64);
    Ok(())
}

fn layouts_differ(comm: &Comm) -> TestResult {
    let (a, b) = (Layout::uniform(comm, 10), Layout::on_one_rank(comm, 11, 0)?);
    let (mut x, y) = (Vector::<f64>::zeros(&a), Vector::zeros(&b));
    let mut xs = MultiVector::<f64>::zeros(&a, 2);
    let ys = MultiVector::zeros(&b, 2);
    let identity = Identity::new(&a);
    let other = Identity::new(&b);
    let results = [
        x.axpy(1.0, &y),
        x.waxpy(1.0, &x.clone(), &y),
        x.multi_axpy(&[1.0], &[&y]),
        x.divide(&y),
        x.dot(&y).map(drop),
        x.dotu(&y, Reduction::Fast).map(drop),
        x.multi_dot(&[&y], Reduction::Fast, &mut [0.0]),
        dots([(&y, &y), (&x, &x)], Reduction::Fast).map(drop),
        xs.axpy(1.0, &ys),
        xs.gram(&ys, Reduction::Fast).map(drop),
        xs.set_column(0, &y),
        Redistribute::new(&a, &b).map(drop),
        Redistribute::new(&a, &a)?.apply(&y, &mut x),
        x.redistributed(&b).map(drop),
        x.set_subvector(0..10, &y),
        identity.apply(&y, &mut x),
        Sum::new(1.0, &identity, 1.0, &other).map(drop),
        Product::<f64, _, _>::new(&identity, &other).map(drop),
        Redistribute::new(&a, &Layout::uniform(&comm.duplicate(), 10)).map(drop),
    ];
    for (at, result) in results.into_iter().enumerate() {
        let error = same_error(comm, &format!("mismatch {at}"), result)?;
        assert!(matches!(error, Error::LayoutMismatch { .. } | Error::CommMismatch { .. }), "mismatch {at}: {error}");
    }
    Ok(())
}

fn one_rank_is_wrong(comm: &Comm) -> TestResult {
    let last = comm.size() - 1;
    let wrong = comm.rank() == last;
    let layout = Layout::uniform(comm, 10);
    let mut x = Vector::from_fn(&layout, |_| 1.0);
    let entries = if wrong { vec![(3, 5.0), (10, 5.0)] } else { vec![(0, 5.0)] };
    let results = [
        ("set_entries", x.set_entries(&entries)),
        ("add_entries", x.add_entries(&entries)),
        ("get_entries", x.get_entries(if wrong { &[10] } else { &[3] }).map(drop)),
        ("scatter", Vector::scatter(&layout, last, &[1.0; 9]).map(drop)),
        ("from_owned", Vector::from_owned(&layout, vec![0.0; layout.local_len() + usize::from(wrong)]).map(drop)),
    ];
    for (what, result) in results {
        match same_error(comm, what, result)? {
            Error::OnRank { rank, .. } => assert_eq!(rank, last, "{what}"),
            error => assert_eq!(last, 0, "{what} is not agreed: {error}"),
        }
    }
    assert_eq!(x.gather_all(), [1.0; 10], "nothing is changed by a refused batch");
    Ok(())
}

fn shapes_differ(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 10);
    let mut x = Vector::from_fn(&layout, |_| 1.0);
    let (mut two, three) = (MultiVector::<f64>::zeros(&layout, 2), MultiVector::zeros(&layout, 3));
    let stack = BlockLayout::new(&[&layout, &layout])?;
    let y = x.clone();
    let results = [
        x.multi_axpy(&[1.0, 2.0], &[&y]),
        x.multi_dot(&[&y, &y], Reduction::Fast, &mut [0.0]),
        two.axpy(1.0, &three),
        two.scale_columns(&[1.0]),
        two.multiply_add(1.0, &three, two.gram(&two, Reduction::Fast)?.view(), 0.0, Reduction::Fast),
        two.column_norms(Reduction::Fast, &mut [0.0; 3]),
        Redistribute::new(&layout, &layout)?.apply_columns(&three, &mut two),
        BlockLayout::new(&[]).map(drop),
        stack.join(&[&y]).map(drop),
        BlockOperator::<f64, _>::new(&stack, &stack, vec![vec![Some(Identity::new(&layout))]]).map(drop),
    ];
    for (at, result) in results.into_iter().enumerate() {
        let error = same_error(comm, &format!("shape {at}"), result)?;
        assert!(matches!(error, Error::Shape { .. }), "shape {at}: {error}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "the mistake is the point")]
    let backwards = x.subvector(5..4);
    for (what, result) in [("past the end", x.subvector(3..11)), ("backwards", backwards)] {
        let error = same_error(comm, what, result)?;
        assert!(matches!(error, Error::IndexOutOfRange { .. }), "{what}: {error}");
    }
    let error = same_error(comm, "gather", x.gather(comm.size()))?;
    assert!(matches!(error, Error::NoSuchRank { .. }), "{error}");
    Ok(())
}
