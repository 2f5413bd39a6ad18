import numpy as np
import pytest
from problems import dense_laplace, laplace, matrix_of, spread

import dolmen as dm

SIDE = 12


def element():
    """The stiffness of a square of side one with linear displacements along each axis; Lame's constants are one."""
    corners = [(0, 0), (1, 0), (0, 1), (1, 1)]
    points = [(0.5 - 0.5 / 3**0.5, 0.5), (0.5 + 0.5 / 3**0.5, 0.5)]
    K = np.zeros((8, 8))
    for x, wx in points:
        for y, wy in points:
            B = np.zeros((3, 8))
            for k, (a, b) in enumerate(corners):
                dx = (2 * a - 1) * (y if b else 1 - y)
                dy = (2 * b - 1) * (x if a else 1 - x)
                B[:, 2 * k : 2 * k + 2] = [[dx, 0], [0, dy], [dy, dx]]
            K += wx * wy * B.T @ np.array([[3, 1, 0], [1, 3, 0], [0, 0, 1]]) @ B
    return K


def plate():
    """A square plate that is held at one side: its stiffness and the coordinates of its nodes."""
    K, at = np.zeros((2 * (SIDE + 1) ** 2,) * 2), np.arange((SIDE + 1) ** 2)
    one = element()
    for i in range(SIDE):
        for j in range(SIDE):
            nodes = np.array([i + dx + (SIDE + 1) * (j + dy) for dy in (0, 1) for dx in (0, 1)])
            rows = np.stack([2 * nodes, 2 * nodes + 1], axis=1).ravel()
            K[np.ix_(rows, rows)] += one
    free = at % (SIDE + 1) > 0
    rows = np.repeat(free, 2)
    return K[np.ix_(rows, rows)], np.stack([at % (SIDE + 1), at // (SIDE + 1)], axis=1)[free].astype(float)


def test_elasticity():
    dense, coordinates = plate()
    nodes = dm.Layout(len(coordinates))
    rows = nodes.refined(2)
    A = matrix_of(dense, rows)
    modes = dm.rigid_body_modes(coordinates[nodes.rows()])
    assert modes.layout == rows and modes.shape == (2 * nodes.size, 3)
    points = dm.MultiVector(nodes, 2, "f4")
    points.local[:] = coordinates[nodes.rows()]
    np.testing.assert_allclose(dm.rigid_body_modes(points).gather(), modes.gather(), atol=1e-6)
    b = spread(np.linspace(1, 2, len(dense)), rows)
    counts = []
    for M in (dm.Multigrid(A, near_null_space=modes, block=2, coarsest=30), dm.Multigrid(A, modes.local, 2, coarsest=30),
              dm.Multigrid(A, block=2, coarsest=30), dm.Preconditioner(A, "multigrid", coarsest=30)):
        x, report = dm.solve(A, b, method="cg", preconditioner=M, rtol=1e-10)
        expected = np.linalg.solve(dense, b.gather())
        np.testing.assert_allclose(x.gather(), expected, atol=1e-7 * abs(expected).max())
        counts.append(report.iterations)
    assert counts[0] == counts[1] < counts[2] < counts[3]
    assert "operator complexity" in str(M := dm.Multigrid(A, modes, 2)) and M.settings == "multigrid(block=2)"


@pytest.mark.parametrize("dtype", ["f4", "c16"])
def test_other_numbers(dtype):
    dense = dense_laplace(60, 0.01).astype(dtype)
    A = matrix_of(dense)
    M = dm.Multigrid(A, np.ones((A.range.local_size, 1)), coarsest=10, cycle="w")
    x, report = dm.solve(A, dm.ones(60, dtype), method="cg", preconditioner=M, rtol=1e-5)
    assert report.converged and report.iterations < 12
    assert dm.rigid_body_modes(np.zeros((A.range.local_size, 3)), dtype).dtype == np.dtype(dtype)


def test_mistakes():
    A, first = laplace(12, shift=0.1), dm.world.rank == 0
    rows = A.range.local_size
    good = np.ones((rows, 2))
    for wrong, kind, text in [
        (dict(block=5), dm.SettingError, "block is 5, expected a divisor of the number of rows"),
        (dict(block="two"), dm.SettingError, "block"),
        (dict(near_null_space=np.ones((rows, 0))), dm.SettingError, "number of near-null-space vectors"),
        (dict(near_null_space=np.full((rows, 2), np.nan)), dm.SettingError, "near-null-space vector 0 is NaN or infinite in row 0"),
        (dict(near_null_space=good * 1j), TypeError, "complex"),
        (dict(near_null_space=np.ones(rows)), ValueError, "rows and columns"),
        (dict(near_null_space=np.ones((rows + 1, 2))), ValueError, "this rank owns"),
        (dict(near_null_space=dm.MultiVector(13, 2)), dm.LayoutError, "near-null-space vectors"),
        (dict(near_null_space=dm.MultiVector(13, 2, "f4")), dm.LayoutError, "near-null-space vectors"),
        (dict(near_null_space=good, degree=0), dm.SettingError, "degree"),
        (dict(near_null_space=good, rotations=1), dm.SettingError, "rotations"),
    ]:
        with pytest.raises(kind, match=text):
            dm.Multigrid(A, **wrong)
    with pytest.raises(TypeError, match="CsrMatrix"):
        dm.Multigrid(np.eye(3))
    with pytest.raises(dm.SettingError, match="number of coordinates"):
        dm.rigid_body_modes(np.ones((3, 4)))
    with pytest.raises(dm.SettingError, match="coordinate 1 is NaN or infinite in row 0"):
        dm.rigid_body_modes([[0.0, np.nan]])
    with pytest.raises(TypeError, match="real"):
        dm.rigid_body_modes(np.ones((3, 2), "c16"))
    if dm.world.size > 1:
        for wrong in (dict(block=2 if first else 3), dict(near_null_space=good if first else None),
                      dict(near_null_space=good[:, : 1 if first else 2])):
            with pytest.raises(dm.RanksDisagreeError):
                dm.Multigrid(A, **wrong)
        with pytest.raises(ValueError, match="rows and columns"):
            dm.Multigrid(A, good[:, 0] if first else good)
