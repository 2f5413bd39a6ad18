import numpy as np
import pytest
import scipy.sparse
from problems import DTYPES, laplace, layouts, matrix_of, numbers, sparse, spread

import dolmen as dm


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_against_numpy(dtype):
    dense = sparse(19, 12, dtype)
    for layout in layouts(19):
        A = matrix_of(dense, layout)
        u, v = numbers(12, dtype, 5), numbers(19, dtype, 6)
        x, y = spread(u), spread(v, layout)
        rtol = 2e-5 if dtype in ("f4", "c8") else 1e-12
        np.testing.assert_allclose((A @ x).gather(), dense @ u, rtol=rtol, atol=rtol)
        np.testing.assert_allclose((A.H @ y).gather(), dense.conj().T @ v, rtol=rtol, atol=rtol)
        np.testing.assert_allclose((A.T @ y).gather(), dense.T @ v, rtol=rtol, atol=rtol)
        z = y.copy()
        A.apply_add(x, z)
        np.testing.assert_allclose(z.gather(), v + dense @ u, rtol=rtol, atol=rtol)
        assert A.shape == (19, 12) and A.nnz == np.count_nonzero(dense) and A.dtype == np.dtype(dtype)


def test_a_product_has_the_same_bits_on_any_ranks():
    A, x = laplace(1000, shift=0.1), dm.random(1000, 1)
    alone = dm.Layout(1000, dm.self_)
    np.testing.assert_array_equal((A @ x).gather(), (laplace(1000, alone, 0.1) @ dm.random(alone, 1)).local)


def test_rows_of_scipy():
    dense = sparse(30, 30)
    layout = dm.Layout(30)
    rows = scipy.sparse.csr_matrix(dense[layout.rows()])
    A = dm.CsrMatrix.from_scipy(rows)
    np.testing.assert_array_equal(A.to_scipy().toarray(), rows.toarray())
    B = dm.CsrMatrix.from_scipy(rows.tocoo(), layout)
    assert (A - B).norm() == 0
    with pytest.raises(ValueError, match="rows on this rank"):
        dm.CsrMatrix.from_scipy(rows[:-1] if dm.world.rank == 0 else rows, layout)


def test_assembly_from_any_rank():
    size, rank, n = dm.world.size, dm.world.rank, 8
    A = dm.CsrMatrix.from_coo([rank % n, n - 1], [0, rank % n], [1.0, 2.0], n)
    dense = np.zeros((n, n))
    for r in range(size):
        dense[r % n, 0] += 1
        dense[n - 1, r % n] += 2
    np.testing.assert_array_equal(A.to_scipy().toarray(), dense[A.range.rows()])
    inserted = dm.CsrMatrix.from_coo([0], [0], [float(rank)], n, duplicates="insert")
    assert inserted.sum(1).sum() == size - 1
    by_rows = dm.CsrMatrix.from_rows(lambda i: ([i, 0], [1.0, i]), n)
    assert by_rows.sum(1).sum() == n + n * (n - 1) / 2


def test_bad_assembly_is_the_same_error_everywhere():
    last = dm.world.rank == dm.world.size - 1
    with pytest.raises(dm.GlobalIndexError):
        dm.CsrMatrix.from_coo([9 if last else 0], [0], [1.0], 9)
    with pytest.raises(IndexError, match="negative"):
        dm.CsrMatrix.from_coo([-1 if last else 0], [0], [1.0], 9)
    with pytest.raises(ValueError, match="equal numbers"):
        dm.CsrMatrix.from_coo([0, 1] if last else [0], [0], [1.0], 9)
    with pytest.raises(TypeError):
        dm.CsrMatrix.from_coo([0.5] if last else [0], [0], [1.0], 9)
    with pytest.raises(TypeError):
        dm.CsrMatrix.from_coo([0], [0], ["a"] if last else [1.0], 9)


def test_algebra_against_numpy():
    a, b = sparse(14, 14, seed=1), sparse(14, 14, seed=2)
    A, B = matrix_of(a), matrix_of(b)
    own = A.range.rows()
    for ours, theirs in [
        (A + B, a + b),
        (A - B, a - b),
        (A @ B, a @ b),
        (2 * A, 2 * a),
        (-A / 4, -a / 4),
        (A.T, a.T),
        (A.triple_product(B), b.T @ a @ b),
        (A * 1j, a * 1j),
    ]:
        np.testing.assert_allclose(ours.to_scipy().toarray(), theirs[own], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(A.diagonal().gather(), np.diag(a))
    np.testing.assert_allclose(A.sum(0).gather(), a.sum(0), atol=1e-12)
    np.testing.assert_allclose(A.sum(1).gather(), a.sum(1), atol=1e-12)
    for ord in ("fro", 1, np.inf):
        assert dm.norm(A, ord) == pytest.approx(np.linalg.norm(a, ord))
    C = A.copy()
    C.scale_rows(spread(numbers(14)))
    C.scale_columns(spread(numbers(14, seed=2)))
    expected = numbers(14)[:, None] * a * numbers(14, seed=2)
    np.testing.assert_allclose(C.to_scipy().toarray(), expected[own], rtol=1e-12)


def test_refill_leaves_what_was_made_before():
    A = laplace(40)
    M = dm.Preconditioner(A, "ic")
    before = M @ dm.ones(A.domain)
    own = A.range.rows()
    plan = A.plan_refill(own, own)
    A.refill(plan, np.full(len(own), 7.0))
    np.testing.assert_array_equal((A @ dm.ones(A.domain)).gather(), np.full(40, 7.0))
    np.testing.assert_array_equal((M @ dm.ones(A.domain)).gather(), before.gather())


def test_pickle_of_small_objects():
    import pickle

    A = laplace(5, dm.Layout(5, dm.self_))
    B = pickle.loads(pickle.dumps(A))
    assert (A - B).norm() == 0
    x = pickle.loads(pickle.dumps(dm.ones(A.domain)))
    assert x.sum() == 5
    if dm.world.size > 1:
        with pytest.raises(TypeError, match="gather"):
            pickle.dumps(dm.ones(4))
        with pytest.raises(TypeError, match="file"):
            pickle.dumps(laplace(5))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dirichlet_rows_against_numpy(dtype):
    dense = sparse(18, 18, dtype) + 20 * np.eye(18, dtype=dtype)
    rows, known, right = [0, 7, 17], numbers(18, dtype, 1), numbers(18, dtype, 2)
    others = np.setdiff1d(np.arange(18), rows)
    inner = dense[np.ix_(others, others)]
    expected = known.astype("c16")
    expected[others] = np.linalg.solve(inner.astype("c16"), right[others] - dense[np.ix_(others, rows)] @ known[rows])
    for layout in layouts(18):
        for name in ("zero_rows", "zero_rows_columns"):
            A, x, b = matrix_of(dense, layout), spread(known, layout), spread(right, layout)
            getattr(A, name)(rows if dm.world.rank == 0 else [7], 2.0, x, b)
            np.testing.assert_allclose(np.linalg.solve(whole(A), b.gather()), expected, rtol=2e-3 if dtype in ("f4", "c8") else 1e-10)
            np.testing.assert_array_equal(np.diag(whole(A))[rows], 2.0)
            assert (A.diagonal().norm() > 0) and (whole(A)[rows] != 0).sum() == 3
        assert (whole(A)[:, rows] != 0).sum() == 3


def whole(A):
    """Return the dense matrix on every rank. Collective."""
    return np.vstack(dm.world.all_gather(A.to_scipy().toarray()))


def test_stored_entries_change():
    A = laplace(9)
    A.shift(0.5)
    assert (A.diagonal() - dm.full(9, 2.5)).norm() == 0
    A.add_entries([0, 8], [1, 8], [3.0, 2.0])
    dense = whole(A)
    assert dense[0, 1] == 3 * dm.world.size - 1 and dense[8, 8] == 2.5 + 2 * dm.world.size
    own = A.range.rows()
    if len(own):
        columns, values = A.row(own[0])
        np.testing.assert_array_equal(dense[own[0]][columns], values)
        assert np.count_nonzero(dense[own[0]]) == len(columns)
    with pytest.raises(IndexError, match="belongs to another rank"):
        A.row(9)
    last = dm.world.rank == dm.world.size - 1
    with pytest.raises(dm.GlobalIndexError, match="zero_rows: global index 9"):
        A.zero_rows([9] if last else [])
    with pytest.raises(ValueError, match="belong together"):
        A.zero_rows([0], x=dm.ones(9))
    with pytest.raises(dm.Error, match="not in the pattern"):
        A.add_entries([0] if last else [], [5] if last else [], 1.0)
    with pytest.raises(TypeError):
        A.add_entries([0], [0], [1j] if last else [1.0])
    with pytest.raises(TypeError):
        A.zero_rows([0], "one" if last else 1.0)
    if dm.world.size > 1:
        with pytest.raises(dm.RanksDisagreeError, match="sigma"):
            A.shift(1.0 if last else 2.0)
    np.testing.assert_array_equal(whole(A), dense)
