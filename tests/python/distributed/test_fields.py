import numpy as np
import pytest

import dolmen as dm

N = 20
LABELS = np.arange(N) % 3 == 2


def dense():
    rng = np.random.default_rng(8)
    return rng.standard_normal((N, N)) + 12 * np.eye(N)


def system(dtype="f8"):
    whole = dense()
    layout = dm.Layout(N)
    rows = layout.rows()
    places = np.repeat(rows, N), np.tile(np.arange(N, dtype=np.uint64), len(rows))
    A = dm.CsrMatrix.from_coo(*places, whole[rows].reshape(-1).astype(dtype), layout)
    return whole, A, dm.Fields(layout, LABELS[rows].astype(int))


def inverse_of(A):
    return dm.Preconditioner(A, "direct")


def blocks(whole):
    parts = [~LABELS, LABELS]
    return [[whole[np.ix_(rows, columns)] for columns in parts] for rows in parts]


def is_matrix(found, dense, tolerance):
    np.testing.assert_allclose(found.to_scipy().toarray(), dense[found.range.rows()], rtol=tolerance, atol=tolerance)


def test_blocks_and_parts():
    whole, A, fields = system()
    assert repr(fields) == "Fields(14, 6 rows)" and len(fields) == 2
    for row in (0, 1):
        for column in (0, 1):
            is_matrix(fields.block(A, row, column), blocks(whole)[row][column], 0)
    x = dm.Vector(A.range)
    x.local[:] = x.layout.rows()
    part = fields.take(1, x)
    np.testing.assert_array_equal(part.gather(), np.arange(N)[LABELS])
    np.testing.assert_array_equal(part.local, fields.rows_of(1))
    part.fill(-1)
    fields.put(1, part, x)
    np.testing.assert_array_equal(x.gather(), np.where(LABELS, -1, np.arange(N)))


@pytest.mark.parametrize("form", ["full", "lower", "upper", "diagonal"])
def test_forms_against_numpy(form):
    whole, A, fields = system()
    (a00, a01), (a10, a11) = blocks(whole)
    S = a11 - a10 @ np.linalg.inv(a00) @ a01
    complement = dm.LinearOperator(fields.layout_of(1), lambda x: np.linalg.solve(S, x.gather())[x.layout.range.start : x.layout.range.stop])
    M = dm.SchurPreconditioner(A, fields, inverse_of(fields.block(A, 0, 0)), complement, form=form)
    expected = np.zeros_like(whole)
    expected[np.ix_(~LABELS, ~LABELS)], expected[np.ix_(LABELS, LABELS)] = a00, S
    if form in ("lower", "full"):
        expected[np.ix_(LABELS, ~LABELS)] = a10
    if form in ("upper", "full"):
        expected[np.ix_(~LABELS, LABELS)] = a01
    if form == "full":
        expected = whole
    b = np.sin(np.arange(N))
    x = M @ dm.scatter(b, A.range)
    np.testing.assert_allclose(x.gather(), np.linalg.solve(expected, b), rtol=1e-10)


def test_complements_against_numpy():
    whole, A, fields = system()
    (a00, a01), (a10, a11) = blocks(whole)
    x = np.cos(np.arange(6))
    S = dm.SchurComplement(A, fields, inverse_of(fields.block(A, 0, 0)))
    y = S @ dm.scatter(x, fields.layout_of(1))
    np.testing.assert_allclose(y.gather(), (a11 - a10 @ np.linalg.inv(a00) @ a01) @ x, rtol=1e-10)
    near = a11 - a10 @ np.diag(1 / np.diag(a00)) @ a01
    is_matrix(fields.schur_of_diagonal(A), near, 1e-12)
    couplings = fields.product_of_couplings(A)
    is_matrix(couplings, a10 @ a01, 1e-12)
    commutator = dm.LeastSquaresCommutator(A, fields, inverse_of(couplings))
    y = commutator @ dm.scatter(x, fields.layout_of(1))
    inner = np.linalg.inv(a10 @ a01)
    np.testing.assert_allclose(y.gather(), -inner @ a10 @ a00 @ a01 @ inner @ x, rtol=1e-8)


def test_compositions_against_numpy():
    whole, A, fields = system()
    parts = [fields.on_field(field, inverse_of(fields.block(A, field, field))) for field in (0, 1)]
    b = np.sin(np.arange(N))
    x = dm.Additive(parts) @ dm.scatter(b, A.range)
    apart = np.where(LABELS[:, None] == LABELS[None, :], whole, 0)
    np.testing.assert_allclose(x.gather(), np.linalg.solve(apart, b), rtol=1e-10)
    x = dm.Multiplicative(A, parts) @ dm.scatter(b, A.range)
    lower = np.where(LABELS[:, None] >= LABELS[None, :], whole, 0)
    np.testing.assert_allclose(x.gather(), np.linalg.solve(lower, b), rtol=1e-10)


def test_mistakes():
    _, A, fields = system()
    with pytest.raises(ValueError, match="labels: expected"):
        dm.Fields(A.range, np.zeros(3 * N))
    with pytest.raises(ValueError, match="is negative"):
        dm.Fields(A.range, np.full(A.range.local_size, -1)) if A.range.local_size else dm.Fields(A.range, [])
    with pytest.raises(dm.SettingError, match="field of a row is 4"):
        dm.Fields(A.range, np.full(A.range.local_size, 4))
    with pytest.raises(IndexError, match="there is no field 2; there are 2, from 0"):
        fields.block(A, 0, 2)
    with pytest.raises(ValueError, match='form="middle" is not known'):
        dm.SchurPreconditioner(A, fields, A, A, form="middle")
    with pytest.raises(dm.LayoutError):
        dm.SchurPreconditioner(A, fields, A, A)
    with pytest.raises(TypeError, match="expected a CsrMatrix, got"):
        fields.block(np.eye(N), 0, 0)
    with pytest.raises(dm.SettingError, match="number of fields is 1000000"):
        dm.Fields(A.range, np.zeros(A.range.local_size, int), count=10**6)
    with pytest.raises(ValueError, match="one preconditioner or more"):
        dm.Additive([])


@pytest.mark.skipif(dm.world.size == 1, reason="needs ranks that disagree")
def test_mistakes_of_one_rank():
    _, A, fields = system()
    last = dm.world.rank == dm.world.size - 1
    M = [dm.Preconditioner(fields.block(A, field, field), "jacobi") for field in (0, 1)]
    with pytest.raises(IndexError, match="there is no field 2"):
        fields.block(A, 0, 2 if last else 1)
    with pytest.raises(dm.RanksDisagreeError, match="block 0, 1 of fields"):
        fields.block(A, 0, 0 if last else 1)
    with pytest.raises(ValueError, match='form="middle" is not known'):
        dm.SchurPreconditioner(A, fields, *M, form="middle" if last else "full")
    with pytest.raises(dm.RanksDisagreeError, match="form"):
        dm.SchurPreconditioner(A, fields, *M, form="lower" if last else "full")
    with pytest.raises(dm.Error):
        dm.SchurPreconditioner(A, fields, M[1] if last else M[0], M[1])
    with pytest.raises(TypeError, match="float32|f4"):
        dm.SchurPreconditioner(A, fields, *([dm.LinearOperator.identity(M[0].range, "f4"), M[1]] if last else M))
    with pytest.raises(TypeError, match="expected a CsrMatrix"):
        fields.schur_of_diagonal(None if last else A)


def test_functions_as_inverses_and_stacked_vectors():
    whole, A, fields = system()
    M = dm.SchurPreconditioner(A, fields, lambda x: x / 12, lambda x: x / 12)
    x, report = dm.solve(A, dm.ones(A.range), method="gmres", preconditioner=M, rtol=1e-10)
    np.testing.assert_allclose(x.gather(), np.linalg.solve(whole, np.ones(N)), rtol=1e-8)
    parts = dm.Layout(5), dm.Layout(3)
    stacked = dm.Layout.stacked(parts)
    own = parts[0].local_size
    halves = dm.Fields(stacked, np.arange(stacked.local_size) >= own)
    np.testing.assert_array_equal(halves.rows_of(1), parts[1].rows() + 5)
    assert (halves.on_field(1, lambda x: 2 * x) @ dm.ones(stacked)).sum() == 6
