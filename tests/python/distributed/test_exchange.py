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
