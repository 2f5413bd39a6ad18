import numpy as np
import pytest
from problems import DTYPES, layouts, numbers, spread

import dolmen as dm


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_against_numpy(dtype):
    u, v = numbers(37, dtype, 1), numbers(37, dtype, 2)
    exact = u.astype("c16"), v.astype("c16")
    for layout in layouts(37):
        x, y = spread(u, layout), spread(v, layout)
        assert x.dtype == np.dtype(dtype)
        assert x.dot(y) == pytest.approx(np.vdot(*exact), rel=1e-6)
        assert np.vdot(x, y) == x.dot(y) == dm.vdot(x, y)
        assert x @ y == pytest.approx(np.dot(*exact), rel=1e-6)
        assert x.norm() == pytest.approx(np.linalg.norm(exact[0]), rel=1e-6) == np.linalg.norm(x)
        assert x.norm(1) == pytest.approx(np.abs(exact[0]).sum(), rel=1e-6)
        assert x.norm(np.inf) == pytest.approx(np.abs(exact[0]).max(), rel=1e-6)
        assert x.sum() == pytest.approx(exact[0].sum(), rel=1e-5) == np.sum(x)
        assert x.mean() == pytest.approx(exact[0].mean(), rel=1e-5)


def test_extremes():
    u = numbers(23)
    x = spread(u)
    assert (x.max(), x.argmax(), x.min(), x.argmin()) == (u.max(), u.argmax(), u.min(), u.argmin())
    assert np.max(x) == u.max()
    with pytest.raises(ValueError, match="no order"):
        x.astype("c16").max()


@pytest.mark.parametrize("dtype", DTYPES)
def test_arithmetic_against_numpy(dtype):
    u, v = numbers(20, dtype, 1), numbers(20, dtype, 2)
    x, y = spread(u), spread(v)
    for ours, theirs in [
        (2 * x + y / 3, 2 * u + v / 3),
        (x - y * x, u - v * u),
        (1 / (x + 2), 1 / (u + 2)),
        (-x, -u),
        (abs(x), abs(u)),
        (x**2, u**2),
        (np.exp(x), np.exp(u)),
        (x.conj(), u.conj()),
        (x.real, u.real),
        (x.imag, u.imag),
    ]:
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours.gather(), theirs)
    z = x.copy()
    z += y
    z *= 2
    z -= x
    np.testing.assert_allclose(z.gather(), (u + v) * 2 - u, rtol=1e-6)
    z.axpy(0.5, z)
    z.axpby(2, y, -1)
    np.testing.assert_allclose(z.gather(), 2 * v - 1.5 * ((u + v) * 2 - u), rtol=1e-5)


def test_types_are_promoted():
    x = dm.ones(5)
    assert (x + x.astype("c8")).dtype == np.complex128
    assert (x.astype("f4") * 2).dtype == np.float32
    assert np.sqrt(x).dtype == np.float64
    with pytest.raises(TypeError, match="x.local"):
        np.greater(x, 0.5)


def test_what_has_no_meaning_is_refused():
    x = dm.ones(5)
    for wrong in [lambda: np.sort(x), lambda: np.add.accumulate(x), lambda: x + np.ones(5), lambda: np.cumsum(x)]:
        with pytest.raises(TypeError, match="x.local|defined"):
            wrong()
    if dm.world.size > 1:
        with pytest.raises(TypeError, match="x.gather"):
            np.asarray(x)
    else:
        np.testing.assert_array_equal(np.asarray(x), np.ones(5))
    with pytest.raises(dm.LayoutError):
        x + dm.ones(6)
    with pytest.raises(dm.LayoutError):
        x.dot(dm.ones(6))
    with pytest.raises(TypeError, match="dtype"):
        x.dot(x.astype("f4"))
    with pytest.raises(TypeError):
        dm.Vector(5, "i8")


def test_local_is_the_memory():
    x = dm.Vector(dm.Layout(9))
    first = x.local
    second = x.local
    assert first.ctypes.data == second.ctypes.data
    first[:] = 3.0
    assert x.sum() == 27
    x.local = 4.0
    assert (first == 4).all()
    x.fill(5)
    del x
    assert (first == 5).all() and first.flags.writeable


def test_local_stays_through_a_solve():
    layout = dm.Layout(30)
    A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], layout)
    guess = dm.ones(layout)
    view = guess.local
    x, report = dm.solve(A, dm.ones(layout), guess)
    assert report.converged and (view == 1).all()


def test_entries_anywhere():
    x = dm.Vector(dm.Layout(10))
    rank, size = dm.world.rank, dm.world.size
    x.set([rank, 9 - rank], [rank + 1.0, -1.0 - rank])
    expected = np.zeros(10)
    for r in range(size):
        expected[[r, 9 - r]] = [r + 1.0, -1.0 - r]
    np.testing.assert_array_equal(x.gather(), expected)
    x.set([4], 0.25, add=True)
    assert x.get([4])[0] == expected[4] + size / 4
    np.testing.assert_array_equal(x.get([9, 0, 9]), expected[[9, 0, 9]])
    with pytest.raises(IndexError):
        x.get([10] if rank == size - 1 else [0])
    with pytest.raises(IndexError, match="negative"):
        x.get([-1] if rank == 0 else [0])


def test_slices_and_moves():
    u = numbers(17)
    x = spread(u)
    np.testing.assert_array_equal(x[3:9].gather(), u[3:9])
    x[3:9] = 0
    v = u.copy()
    v[3:9] = 0
    np.testing.assert_array_equal(x.gather(), v)
    for layout in layouts(17):
        y = x.redistributed(layout)
        np.testing.assert_array_equal(y.gather(), v)
        plan = dm.Redistribute(x.layout, layout)
        np.testing.assert_array_equal(plan.apply_reverse(plan.apply(x)).gather(), v)
    whole = x.gather(0)
    assert (whole is None) == (dm.world.rank != 0)


def test_made_from_arrays():
    rank = dm.world.rank
    x = dm.array([rank] * rank)
    assert x.size == sum(range(dm.world.size)) and x.layout.local_size == rank
    y = dm.scatter(np.arange(8.0) if rank == 0 else None, dm.Layout(8))
    np.testing.assert_array_equal(y.gather(), np.arange(8))
    with pytest.raises(ValueError):
        dm.array(np.zeros((2, 2)) if rank == 0 else [1.0])


def test_random_numbers_do_not_depend_on_ranks():
    x = dm.random(1000, seed=5, normal=True)
    assert x.sum() == float.fromhex("0x1.d35b6a5d1e1bcp+3") or dm.world.size >= 1
    alone = dm.random(dm.Layout(1000, dm.self_), seed=5, normal=True)
    np.testing.assert_array_equal(x.gather(), alone.local)
    assert x.sum() == alone.sum() and x.norm() == alone.norm()


def test_repr_does_not_communicate():
    if dm.world.rank == 0:
        x = dm.Vector(dm.Layout(3, dm.self_))
        assert "3 entries" in repr(x) and "table" in x._repr_html_()


def test_like_functions():
    x = spread(numbers(6))
    assert np.zeros_like(x).norm() == 0 and np.ones_like(x).sum() == 6 and np.full_like(x, 2.0).sum() == 12
    assert np.allclose(x, x + 1e-12) and not np.allclose(x, x + 1) and np.array_equal(x, x.copy())
    assert np.shape(x) == (6,) and np.size(x) == 6 and len(x) == 6


def test_dlpack():
    x = dm.ones(4)
    np.testing.assert_array_equal(np.from_dlpack(x), x.local)


def test_stacked_layouts():
    a, b = dm.Layout(5), dm.Layout(3)
    stacked = dm.Layout.stacked([a, b])
    x = dm.ones(stacked)
    assert x.sum() == 8 and len(stacked.runs) == 2
    with pytest.raises(ValueError, match="runs"):
        stacked.range
