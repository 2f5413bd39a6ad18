import numpy as np
import pytest
from problems import DTYPES, matrix_of, numbers, sparse

import dolmen as dm


@pytest.mark.parametrize("dtype", DTYPES)
def test_against_numpy(dtype):
    dense = np.stack([numbers(25, dtype, seed) for seed in (1, 2, 3)], axis=1)
    layout = dm.Layout(25)
    X = dm.MultiVector(layout, 3, dtype)
    X.local[:] = dense[layout.rows()]
    rtol = 1e-4 if dtype in ("f4", "c8") else 1e-12
    np.testing.assert_array_equal(X.gather(), dense)
    np.testing.assert_allclose(X.gram(X), dense.conj().T @ dense, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(X.norms(), np.linalg.norm(dense, axis=0), rtol=rtol)
    small = np.arange(6).reshape(3, 2)
    np.testing.assert_allclose((X @ small).gather(), dense @ small, rtol=rtol, atol=rtol)
    q, r = X.qr()
    np.testing.assert_allclose(q.gram(q), np.eye(3), atol=rtol)
    np.testing.assert_allclose(q.gather() @ r, dense, rtol=rtol, atol=rtol)
    X[1] = X[0]
    np.testing.assert_array_equal(X[-2].gather(), dense[:, 0])
    with pytest.raises(IndexError):
        X[3]


def test_products_and_solves_with_several_vectors():
    dense = sparse(20, 20) + 10 * np.eye(20)
    spd = dense @ dense.T
    A = matrix_of(spd)
    B = dm.MultiVector.from_vectors([dm.random(A.range, 1, stream) for stream in range(3)])
    np.testing.assert_allclose((A @ B).gather(), spd @ B.gather(), rtol=1e-10)
    X, reports = dm.solve(A, B, rtol=1e-12)
    assert all(report.converged for report in reports)
    np.testing.assert_allclose(X.gather(), np.linalg.solve(spd, B.gather()), rtol=1e-8)
