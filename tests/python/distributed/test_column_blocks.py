import numpy as np
import pytest

import dolmen as dm

ROWS, COLUMNS = 9, 7


def case(dtype, shape=(3, 2)):
    """All ranks make the same blocks; each keeps those of its own columns."""
    rng = np.random.default_rng(4)
    i, j = rng.integers(0, ROWS, 40), rng.integers(0, COLUMNS, 40)
    blocks = rng.standard_normal((40, *shape)).astype(dtype)
    dense = np.zeros((ROWS * shape[0], COLUMNS * shape[1]))
    for row, column, block in zip(i, j, blocks):
        dense[row * shape[0] :, column * shape[1] :][: shape[0], : shape[1]] += block
    columns = dm.Layout(COLUMNS)
    own = np.isin(j, columns.rows())
    return dense, dm.ColumnBlockMatrix(ROWS, columns, i[own], j[own], blocks[own])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(3, 1), (3, 2), (1, 6)])
def test_products_against_numpy(dtype, shape):
    dense, A = case(dtype, shape)
    assert A.shape == dense.shape
    x, y = np.sin(np.arange(dense.shape[1])), np.cos(np.arange(dense.shape[0]))
    np.testing.assert_allclose((A @ dm.scatter(x, A.domain)).gather(), dense @ x, atol=1e-12)
    np.testing.assert_allclose((A.H @ dm.scatter(y, A.range)).gather(), dense.T @ y, atol=1e-12)


def test_normal_equations():
    dense, A = case("f8", (6, 1))
    b = np.sin(np.arange(dense.shape[0]))
    x, report = dm.solve(A, dm.scatter(b, A.range), method="lsqr", rtol=1e-12)
    assert report.converged
    np.testing.assert_allclose(x.gather(), np.linalg.lstsq(dense, b, rcond=None)[0], atol=1e-9)


def test_mistakes():
    columns = dm.Layout(COLUMNS)
    with pytest.raises(ValueError, match="three dimensions"):
        dm.ColumnBlockMatrix(ROWS, columns, [0], [0], [1.0])
    with pytest.raises(IndexError, match="row_ids: global index -1 is negative"):
        dm.ColumnBlockMatrix(ROWS, columns, [-1], [0], np.zeros((1, 1, 1)))
    own = columns.rows()[:1]
    many = np.zeros((len(own), 7, 1))
    with pytest.raises(dm.Error):
        dm.ColumnBlockMatrix(ROWS, columns, np.zeros(len(own), int), own, many)
