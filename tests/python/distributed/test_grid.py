import numpy as np
import pytest

import dolmen as dm

CUTS = ["slabs", "boxes"]


def value(*places, dof=0):
    return sum(place * 10.0**power for power, place in enumerate(places)) + 1000 * dof


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("nodes, dofs, periodic", [((9,), 1, True), ((6, 5), 2, (False, True)), ((4, 3, 5), 1, False)])
def test_orders_ghosts_and_arrays(nodes, dofs, periodic, cut):
    grid = dm.Grid(nodes, dofs, periodic=periodic, stencil="box", cut=cut)
    x = dm.Vector(grid.layout)
    places = np.meshgrid(*map(np.arange, nodes), indexing="ij")
    own = np.ix_(*grid.ranges)
    whole = value(*places) if dofs == 1 else np.stack([value(*places, dof=dof) for dof in range(dofs)], axis=-1)
    grid.array(x)[...] = whole[own]
    natural = grid.to_natural(x).gather()
    expected = whole if dofs == 1 else np.moveaxis(whole, -1, 0)
    np.testing.assert_array_equal(natural, expected.reshape(-1, order="F"))
    back = grid.to_distributed(grid.to_natural(x))
    assert (back - x).norm() == 0
    around = grid.ghosted(x)
    wrapped = np.ix_(*[np.arange(r.start, r.stop) % n for r, n in zip(grid.ghost_ranges, nodes)])
    np.testing.assert_array_equal(around, whole[wrapped])
    for dof in range(dofs):
        rows = grid.rows(*grid.indices(), dof=dof)
        np.testing.assert_array_equal(rows, grid.layout.rows()[dof::dofs])
        np.testing.assert_array_equal(x.local[rows - grid.layout.range.start], value(*grid.indices(), dof=dof))
    assert np.prod(grid.processes) == dm.world.size


@pytest.mark.parametrize("cut", CUTS)
def test_stencils_against_numpy(cut):
    grid = dm.Grid((7, 5), cut=cut, periodic=(True, False))
    A = grid.stencil_matrix({(0, 0): 4.0, (1, 0): -1.0, (-1, 0): -2.0, (0, 1): -0.5, (0, -1): -0.25})
    u = np.random.default_rng(3).standard_normal((7, 5))
    x = dm.Vector(grid.layout)
    grid.array(x)[...] = u[np.ix_(*grid.ranges)]
    padded = np.pad(u, ((0, 0), (1, 1)))
    expected = 4 * u - np.roll(u, -1, 0) - 2 * np.roll(u, 1, 0) - 0.5 * padded[:, 2:] - 0.25 * padded[:, :-2]
    np.testing.assert_allclose(grid.array(A @ x), expected[np.ix_(*grid.ranges)], atol=1e-13)
    # Two unknowns that see each other.
    grid = dm.Grid(6, 2, cut=cut)
    A = grid.stencil_matrix({0: [[3.0, 1.0], [0.0, 2.0]], 1: -1.0})
    y = dm.Vector(grid.layout)
    pairs = np.arange(12.0).reshape(6, 2)
    grid.array(y)[...] = pairs[list(grid.ranges[0])]
    after = np.vstack([pairs[1:], np.zeros((1, 2))])
    expected = pairs @ np.array([[3.0, 1.0], [0.0, 2.0]]).T - after
    np.testing.assert_array_equal(grid.array(A @ y), expected[list(grid.ranges[0])])


def test_slabs_have_the_same_bits_on_any_ranks():
    stencil = {(0, 0): 4.1, (1, 0): -1.1, (-1, 0): -0.9, (0, 1): -1.3, (0, -1): -0.7}
    products = []
    for comm in (dm.world, dm.self_):
        grid = dm.Grid((9, 11), comm=comm)
        x = dm.Vector(grid.layout)
        x.local[:] = np.sin(grid.layout.rows() + 0.3)
        products.append(grid.to_natural(grid.stencil_matrix(stencil) @ x).gather())
    np.testing.assert_array_equal(*products)


def test_mistakes():
    with pytest.raises(dm.SettingError, match="4 axes"):
        dm.Grid((2, 2, 2, 2))
    with pytest.raises(dm.SettingError, match="axis 1 has 0 nodes"):
        dm.Grid((2, 0))
    with pytest.raises(ValueError, match="stencil"):
        dm.Grid(4, stencil="plus")
    with pytest.raises(ValueError, match="cut"):
        dm.Grid(4, cut="pencils")
    with pytest.raises(dm.SettingError, match="a box for each rank"):
        dm.Grid(4, cut=[dm.world.size + 1])
    with pytest.raises(ValueError, match="one value for each"):
        dm.Grid((4, 4), periodic=[True])
    grid = dm.Grid((4, 4))
    with pytest.raises(ValueError, match="2 axes"):
        grid.rows(1)
    with pytest.raises(ValueError, match="2 axes"):
        grid.stencil_matrix({0: 1.0})
    with pytest.raises(dm.LayoutError):
        grid.ghosted(dm.ones(15))
    if dm.world.size > 1:
        with pytest.raises(dm.RanksDisagreeError, match="grid of"):
            dm.Grid(4 + dm.world.rank % 2)
