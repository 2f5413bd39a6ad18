"""Distributed linear algebra over MPI: vectors, sparse matrices, solvers and parallel files.

The same script runs on one process and under ``mpirun -n 1000``:

>>> import dolmen as dm
>>> layout = dm.Layout(100)
>>> i = layout.rows()
>>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], layout)
>>> x, report = dm.solve(A, dm.ones(layout), rtol=1e-10)
>>> report.converged
True

Importing the package does not initialize MPI; the first communicator does (`world`, or any layout). Names are loaded when
they are used, so that the import opens few files.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

try:
    from ._dolmen import __version__
except ImportError as error:
    if "libmpi" not in str(error):
        raise
    raise ImportError(
        f"{error}; dolmen needs an MPI library: pip install mpich installs one, and on a cluster the module of MPICH, "
        "Intel MPI, MVAPICH or Cray MPICH has it (the folder of libmpi.so.12 must be in LD_LIBRARY_PATH)"
    ) from None

#: Module of each name of the package.
_HOME = {
    "Additive": "_fields",
    "ColumnBlockMatrix": "_column_blocks",
    "Comm": "_comm",
    "CsrMatrix": "_matrix",
    "CheckpointStore": "_checkpoint",
    "Dataset": "_hdf5",
    "EigenReport": "_report",
    "Empty": "_elements",
    "EndedError": "_errors",
    "Error": "_errors",
    "Exchange": "_exchange",
    "Fields": "_fields",
    "File": "_hdf5",
    "FileError": "_errors",
    "GlobalIndexError": "_errors",
    "Grid": "_grid",
    "IndexMap": "_exchange",
    "Layout": "_layout",
    "LayoutError": "_errors",
    "LeastSquaresCommutator": "_fields",
    "LinearOperator": "_operator",
    "MultiVector": "_multi_vector",
    "Multigrid": "_multigrid",
    "Multiplicative": "_fields",
    "NonlinearReport": "_nonlinear",
    "NotConvergedError": "_errors",
    "Preconditioner": "_preconditioner",
    "Profile": "_profile",
    "Progress": "_dolmen",
    "RangeError": "_errors",
    "RanksDisagreeError": "_errors",
    "Redistribute": "_exchange",
    "RefillPlan": "_matrix",
    "Scatter": "_exchange",
    "SchurComplement": "_fields",
    "SchurPreconditioner": "_fields",
    "SettingError": "_errors",
    "SingularError": "_errors",
    "Snapshot": "_report",
    "SolveReport": "_report",
    "ThreadError": "_errors",
    "TooLargeError": "_errors",
    "Vector": "_vector",
    "anderson": "_nonlinear",
    "array": "_vector",
    "aslinearoperator": "_operator",
    "describe": "_files",
    "eigs": "_eigen",
    "eigsh": "_eigen",
    "environment": "_session",
    "full": "_vector",
    "methods": "_preconditioner",
    "newton": "_nonlinear",
    "nonlinear_cg": "_nonlinear",
    "norm": "_vector",
    "ones": "_vector",
    "preconditioners": "_preconditioner",
    "random": "_vector",
    "read_matrix": "_files",
    "read_vector": "_files",
    "read_vectors": "_files",
    "rigid_body_modes": "_multigrid",
    "scatter": "_vector",
    "solve": "_solve",
    "svds": "_eigen",
    "vdot": "_vector",
    "write_matrix": "_files",
    "write_vector": "_files",
    "write_vectors": "_files",
    "zeros": "_vector",
}

#: Parts of the package that are modules of their own.
_MODULES = ("farm", "linalg", "mapmaker")

__all__ = ["__version__", "self_", "world", *sorted(_HOME), *_MODULES]  # noqa: PLE0604

if TYPE_CHECKING:
    from . import (
        farm as farm,
        linalg as linalg,
        mapmaker as mapmaker,
    )
    from ._checkpoint import CheckpointStore as CheckpointStore
    from ._column_blocks import ColumnBlockMatrix as ColumnBlockMatrix
    from ._comm import Comm as Comm
    from ._dolmen import Progress as Progress
    from ._eigen import (
        eigs as eigs,
        eigsh as eigsh,
        svds as svds,
    )
    from ._elements import Empty as Empty
    from ._errors import (
        EndedError as EndedError,
        Error as Error,
        FileError as FileError,
        GlobalIndexError as GlobalIndexError,
        LayoutError as LayoutError,
        NotConvergedError as NotConvergedError,
        RangeError as RangeError,
        RanksDisagreeError as RanksDisagreeError,
        SettingError as SettingError,
        SingularError as SingularError,
        ThreadError as ThreadError,
        TooLargeError as TooLargeError,
    )
    from ._exchange import (
        Exchange as Exchange,
        IndexMap as IndexMap,
        Redistribute as Redistribute,
        Scatter as Scatter,
    )
    from ._fields import (
        Additive as Additive,
        Fields as Fields,
        LeastSquaresCommutator as LeastSquaresCommutator,
        Multiplicative as Multiplicative,
        SchurComplement as SchurComplement,
        SchurPreconditioner as SchurPreconditioner,
    )
    from ._files import (
        describe as describe,
        read_matrix as read_matrix,
        read_vector as read_vector,
        read_vectors as read_vectors,
        write_matrix as write_matrix,
        write_vector as write_vector,
        write_vectors as write_vectors,
    )
    from ._grid import Grid as Grid
    from ._hdf5 import (
        Dataset as Dataset,
        File as File,
    )
    from ._layout import Layout as Layout
    from ._matrix import (
        CsrMatrix as CsrMatrix,
        RefillPlan as RefillPlan,
    )
    from ._multi_vector import MultiVector as MultiVector
    from ._multigrid import (
        Multigrid as Multigrid,
        rigid_body_modes as rigid_body_modes,
    )
    from ._nonlinear import (
        NonlinearReport as NonlinearReport,
        anderson as anderson,
        newton as newton,
        nonlinear_cg as nonlinear_cg,
    )
    from ._operator import (
        LinearOperator as LinearOperator,
        aslinearoperator as aslinearoperator,
    )
    from ._preconditioner import (
        Preconditioner as Preconditioner,
        methods as methods,
        preconditioners as preconditioners,
    )
    from ._profile import Profile as Profile
    from ._report import (
        EigenReport as EigenReport,
        Snapshot as Snapshot,
        SolveReport as SolveReport,
    )
    from ._session import environment as environment
    from ._solve import solve as solve
    from ._vector import (
        Vector as Vector,
        array as array,
        full as full,
        norm as norm,
        ones as ones,
        random as random,
        scatter as scatter,
        vdot as vdot,
        zeros as zeros,
    )

    #: The communicator of all ranks.
    world: Comm
    #: The communicator of this rank alone.
    self_: Comm


def __getattr__(name: str) -> Any:
    if name in ("world", "self_"):
        from . import _comm

        value = getattr(_comm, name)()
    elif name in _HOME:
        value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    elif name in _MODULES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
