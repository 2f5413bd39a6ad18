import numpy as np
import pytest

import dolmen as dm


def test_import_and_export_against_arrays():
    n, size, rank = 20, dm.world.size, dm.world.rank
    layout = dm.Layout(n)
    wanted = [np.unique([(r * 7) % n, (r * 3 + 1) % n, n - 1]) for r in range(size)]
    plan = dm.Exchange(layout, wanted[rank][::-1])
    x = dm.Vector(layout)
    x.local[:] = layout.rows() ** 2
    np.testing.assert_array_equal(plan.import_(x), wanted[rank] ** 2)
    np.testing.assert_array_equal(plan.map.local(wanted[rank]), np.arange(len(wanted[rank])))
    for combine, start, expect in [
        ("add", 0.0, lambda old, values: old + sum(values)),
        ("max", 3.0, lambda old, values: max([old, *values])),
        ("min", 3.0, lambda old, values: min([old, *values])),
    ]:
        y = dm.full(layout, start)
        plan.export(wanted[rank] + rank, y, combine)
        expected = np.full(n, start)
        for gid in range(n):
            values = [gid + r for r in range(size) if gid in wanted[r]]
            if values:
                expected[gid] = expect(start, values)
        np.testing.assert_array_equal(y.gather(), expected)
    with pytest.raises(ValueError, match="combine"):
        plan.export(wanted[rank], x, "multiply")
    with pytest.raises(dm.LayoutError):
        plan.export(wanted[rank][1:] if rank == 0 else wanted[rank], x)
    with pytest.raises(dm.GlobalIndexError):
        dm.Exchange(layout, [n] if rank == size - 1 else [0])


def test_scatters_between_lists_against_arrays():
    n, m, size, rank = 20, 9, dm.world.size, dm.world.rank
    source, target = dm.Layout(n), dm.Layout(m)
    of_rank = [(np.arange(5) * (r + 2) % n, np.arange(5) * (r + 1) % m) for r in range(size)]
    plan = dm.Scatter(source, of_rank[rank][0], target, of_rank[rank][1])
    x = dm.Vector(source)
    x.local[:] = source.rows() + 1.0
    y = dm.full(target, 2.0)
    plan.apply(x, y, "add")
    expected = np.full(m, 2.0)
    for from_, to in of_rank:
        np.add.at(expected, to, from_ + 1.0)
    np.testing.assert_array_equal(y.gather(), expected)
    back = plan.reversed()
    assert back.source == target and back.target == source
    z = dm.zeros(source)
    back.apply(y, z, "max")
    brought = np.zeros(n)
    for from_, to in of_rank:
        np.maximum.at(brought, from_, expected[to])
    np.testing.assert_array_equal(z.gather(), brought)
    last = rank == size - 1
    with pytest.raises(dm.GlobalIndexError, match="target of a scatter"):
        dm.Scatter(source, [0], target, [m] if last else [0])
    with pytest.raises(dm.LayoutError):
        dm.Scatter(source, [0], target, [0, 1] if last else [0])
    with pytest.raises(ValueError, match="combine"):
        plan.apply(x, y, "sum")
    with pytest.raises(TypeError, match="dtype"):
        plan.apply(x.astype("c16"), y)
