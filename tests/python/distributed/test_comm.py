import numpy as np
import pytest

import dolmen as dm


def test_groups():
    comm = dm.world
    assert comm.sum(1) == comm.size and comm.max(comm.rank) == comm.size - 1 and comm.min(2.5) == 2.5
    assert comm.all_gather({"rank": comm.rank}) == [{"rank": rank} for rank in range(comm.size)]
    assert comm.broadcast("x" * comm.rank, root=comm.size - 1) == "x" * (comm.size - 1)
    half = comm.split(comm.rank % 2)
    assert half.size == len(range(comm.rank % 2, comm.size, 2))
    assert comm.split(None if comm.rank else 0) is None or comm.rank == 0
    assert comm.split_shared().size == comm.size
    layout = dm.Layout(5, half)
    assert dm.ones(layout).sum() == 5
    assert dm.self_.size == 1 and dm.world == comm and dm.world != half
    with pytest.raises(ValueError, match="no rank"):
        comm.broadcast(1, root=comm.size)


def test_agreeing():
    with pytest.raises(ZeroDivisionError):
        with dm.world.agreeing():
            if dm.world.rank == dm.world.size - 1:
                1 / 0


def test_layouts_that_disagree():
    if dm.world.size > 1:
        with pytest.raises(dm.LayoutError):
            dm.Layout(5 + dm.world.rank)
    with pytest.raises(ValueError):
        dm.Layout(-1)
    layout = dm.Layout(7)
    assert layout.owner(6) == min(dm.world.size, 7) - 1 and len(layout) == 7
    with pytest.raises(IndexError):
        layout.owner(7)
    assert np.array_equal(np.concatenate(dm.world.all_gather(layout.rows())), np.arange(7))


def test_mpi4py_both_ways():
    MPI = pytest.importorskip("mpi4py.MPI")
    comm = dm.Comm(MPI.COMM_WORLD)
    assert comm.size == dm.world.size == MPI.COMM_WORLD.size
    back = comm.to_mpi4py()
    assert back.allreduce(1) == comm.size
    assert dm.ones(dm.Layout(6, MPI.COMM_WORLD)).sum() == 6
    part = MPI.COMM_WORLD.Split(MPI.COMM_WORLD.rank % 2)
    assert dm.Comm(part).size == part.size
    with pytest.raises(TypeError):
        dm.Comm(3)


def test_profile():
    with dm.Profile() as profile:
        dm.ones(100).norm()
    assert "Norm" in str(profile) or profile.events[0]["name"] == "total"


def test_environment():
    found = dm.environment()
    assert found["blas_threads"] >= 1 and found["mpi"] and len(found["hdf5"]) == 3
