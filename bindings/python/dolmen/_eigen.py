"""`eigsh`, `eigs` and `svds`: a few eigenvalues or singular values, with their vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Complex, Real
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _dolmen
from ._interrupt import delayed
from ._matrix import CsrMatrix
from ._multi_vector import MultiVector
from ._operator import LinearOperator, aslinearoperator
from ._preconditioner import Preconditioner
from ._report import EigenReport, Snapshot
from ._solve import is_python, preconditioner_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Parts of a spectrum: SciPy's names, and those of the native part.
_HERMITIAN = {"LM": "LM", "SM": "SM", "LA": "LR", "SA": "SR"}
_GENERAL = {name: name for name in ("LM", "SM", "LR", "SR", "LI")}
_SINGULAR = {"LM": "LR", "SM": "SR"}


def eigsh(
    A: Any,
    k: int = 6,
    *,
    which: str = "LM",
    sigma: float | None = None,
    mass: Any = None,
    inverse: Any = None,
    mass_inverse: Any = None,
    preconditioner: Any = None,
    start: MultiVector | None = None,
    method: str | None = None,
    basis: int | None = None,
    rtol: float = 1e-8,
    max_iterations: int = 1000,
    monitor: Callable[[_dolmen.Progress], Any] | None = None,
    snapshots: Callable[[Snapshot], None] | None = None,
    snapshot_every: int = 0,
    resume: Snapshot | None = None,
) -> tuple[NDArray[np.float64], MultiVector, EigenReport]:
    """Find a few eigenvalues of a Hermitian problem, ``A v = w v`` or ``A v = w M v``. Collective.

    Parameters
    ----------
    A : CsrMatrix, LinearOperator, or what `aslinearoperator` takes
    k : int
        Number of eigenvalues.
    which : {"LM", "SM", "LA", "SA"}
        Those of largest or smallest magnitude, or the largest or smallest ones. They are returned in this order.
    sigma : float, optional
        Find those nearest to this number instead, nearest first.
    mass : CsrMatrix or operator, optional
        The matrix M, Hermitian and positive semidefinite.
    inverse : operator, optional
        Solves with ``A - sigma M``, where A is an operator. A matrix is factored.
    mass_inverse : operator, optional
        Solves with M, where M is an operator and `sigma` is not given.
    preconditioner : str or operator, optional
        An approximation of the inverse of A, a text as of `Preconditioner` or an operator, for LOBPCG.
    start : MultiVector, optional
        Vectors from which LOBPCG starts.
    method : {"lanczos", "lobpcg"}, optional
        By default the method is chosen from a matrix; ``report.why`` tells the reason. For an operator it is Lanczos, with a
        preconditioner LOBPCG.
    basis : int, optional
        Vectors of Lanczos' basis, ``2 k + 20`` by default.
    rtol : float
        Stop at ``|A v - w M v| <= rtol |w M v|`` for each pair.
    max_iterations : int
        Maximum number of iterations, of Lanczos of restarts.
    monitor, snapshots, snapshot_every
        As for `solve`. Snapshots need a method that is named.
    resume : Snapshot, optional
        Resume from a snapshot of the same method.

    Returns
    -------
    w : ndarray of shape (k,)
    V : MultiVector
        Eigenvectors as columns, orthonormal, with a mass matrix in its inner product.
    report : EigenReport
        A search that does not converge is no exception: see ``report.is_converged`` and ``report.require_converged()``.

    Examples
    --------
    >>> import dolmen as dm
    >>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 100)
    >>> w, V, report = dm.eigsh(A, 3, which="SA")
    >>> w.round(5)
    array([0.00097, 0.00387, 0.0087 ])
    >>> bool((A @ V[0] - w[0] * V[0]).norm() <= 1e-8 * w[0])
    True
    """
    operator, beside = _promoted(A, mass)
    with operator.comm.agreeing():
        options = _options(k, _part(which, _HERMITIAN, sigma), basis, rtol, max_iterations, monitor, snapshots, snapshot_every, resume)
        _need_known(method, ("lanczos", "lobpcg"))
        if sigma is not None and not isinstance(sigma, Real):
            raise TypeError(f"sigma={sigma!r}: expected a real number; the eigenvalues of a Hermitian problem are real")
        lobpcg = method == "lobpcg" or (method is None and (preconditioner is not None or start is not None))
        _need_fitting(lobpcg, options["part"], {"sigma": sigma, "inverse": inverse, "mass_inverse": mass_inverse, "basis": basis}, preconditioner, start)
    matrices = None if method is not None or lobpcg else _matrices(operator, beside, inverse, mass_inverse, options)
    if matrices is not None:
        options["shift"] = sigma
        with _watching(options, operator) as options:
            native = _dolmen.automatic_eigen(*matrices, True, options)
        return native["values"].real.copy(), MultiVector._wrap(native["vectors"]), _report(native)
    helpers = [beside, preconditioner_of(operator, preconditioner)]
    if not lobpcg:
        options["shift"] = _shift(which, sigma)
        helpers[1] = _inverse_of(operator, beside, options["shift"], inverse, mass_inverse)
    options["mass"], options["preconditioner" if lobpcg else "inverse"] = map(_native_of, helpers)
    options["start"] = _native_of(start)
    with _watching(options, operator, *helpers) as options:
        native = _dolmen.hermitian_eigen(operator._native, lobpcg, options)
    return native["values"], MultiVector._wrap(native["vectors"]), _report(native)


def eigs(
    A: Any,
    k: int = 6,
    *,
    which: str = "LM",
    sigma: complex | None = None,
    mass: Any = None,
    inverse: Any = None,
    mass_inverse: Any = None,
    method: str | None = None,
    basis: int | None = None,
    rtol: float = 1e-8,
    max_iterations: int = 1000,
    monitor: Callable[[_dolmen.Progress], Any] | None = None,
    snapshots: Callable[[Snapshot], None] | None = None,
    snapshot_every: int = 0,
    resume: Snapshot | None = None,
) -> tuple[NDArray[np.complex128], MultiVector, EigenReport]:
    """Find a few eigenvalues of any square problem, ``A v = w v`` or ``A v = w M v``. Collective.

    Parameters
    ----------
    A : CsrMatrix, LinearOperator, or what `aslinearoperator` takes
    k : int
        Number of eigenvalues. Of a real A one more is returned where the last one is the first of two conjugates.
    which : {"LM", "SM", "LR", "SR", "LI"}
        Those of largest or smallest magnitude, of largest or smallest real part, or of largest imaginary part; of a real A
        by its absolute value.
    sigma : complex, optional
        Find those nearest to this number instead, nearest first.
    mass, inverse, mass_inverse, basis, rtol, max_iterations, monitor, snapshots, snapshot_every, resume
        As for `eigsh`. M may be any matrix that can be factored. With `mass_inverse`, residuals are those of the
        product of both.
    method : {"krylov-schur"}, optional
        By default the method is chosen from a matrix; ``report.why`` tells the reason. For an operator it is Krylov-Schur.

    Returns
    -------
    w : ndarray of complex numbers
    V : MultiVector
        Complex eigenvectors of length one as columns.
    report : EigenReport

    Examples
    --------
    >>> import dolmen as dm
    >>> A = dm.CsrMatrix.from_diagonals([-0.5, 1.0, 0.5], [-1, 0, 1], 50)
    >>> w, V, report = dm.eigs(A, 2, which="LI")
    >>> w.round(4)
    array([1.+0.9981j, 1.-0.9981j])
    """
    operator, beside = _promoted(A, mass)
    with operator.comm.agreeing():
        options = _options(k, _part(which, _GENERAL, sigma), basis, rtol, max_iterations, monitor, snapshots, snapshot_every, resume)
        _need_known(method, ("krylov-schur",))
        if sigma is not None and not isinstance(sigma, Complex):
            raise TypeError(f"sigma={sigma!r}: expected a number")
    matrices = None if method is not None else _matrices(operator, beside, inverse, mass_inverse, options)
    if matrices is not None:
        options["shift"] = sigma
        with _watching(options, operator) as options:
            native = _dolmen.automatic_eigen(*matrices, False, options)
        return native["values"], _complex(native), _report(native)
    options["shift"] = shift = _shift(which, sigma)
    with operator.comm.agreeing():
        if shift is not None and np.imag(shift) != 0 and operator.dtype.kind != "c":
            raise TypeError(f"sigma={sigma!r} is complex, and A is real; give an operator with dtype=\"c16\"")
    solver = _inverse_of(operator, beside, shift, inverse, mass_inverse)
    helpers = [beside, solver]
    if shift is None and solver is not None:
        operator, helpers = solver @ operator, [operator, beside]
    else:
        options["mass"], options["inverse"] = map(_native_of, helpers)
    with _watching(options, operator, *helpers) as options:
        native = _dolmen.general_eigen(operator._native, options)
    return native["values"], _complex(native), _report(native)


def svds(
    A: Any,
    k: int = 6,
    *,
    which: str = "LM",
    method: str | None = None,
    basis: int | None = None,
    rtol: float = 1e-8,
    max_iterations: int = 1000,
    monitor: Callable[[_dolmen.Progress], Any] | None = None,
    snapshots: Callable[[Snapshot], None] | None = None,
    snapshot_every: int = 0,
    resume: Snapshot | None = None,
) -> tuple[MultiVector, NDArray[np.float64], MultiVector, EigenReport]:
    """Find a few singular values, ``A v = s u`` and ``A.H u = s v``. Collective.

    Parameters
    ----------
    A : CsrMatrix, LinearOperator with an adjoint, or what `aslinearoperator` takes
    k : int
        Number of singular values.
    which : {"LM", "SM"}
        The largest, descending, or the smallest, ascending.
    method : {"golub-kahan"}, optional
        By default small matrices are taken as dense ones; ``report.why`` tells the reason. For an operator it is Golub-Kahan.
    basis : int, optional
        Vectors of the basis on each side, ``2 k + 20`` by default.
    rtol : float
        Stop where ``(A v - s u, A.H u - s v)`` has a length of at most ``rtol s`` for each value.
    max_iterations : int
        Maximum number of restarts.
    monitor, snapshots, snapshot_every, resume
        As for `eigsh`.

    Returns
    -------
    U : MultiVector
        Left singular vectors as orthonormal columns.
    s : ndarray of shape (k,)
    V : MultiVector
        Right singular vectors as orthonormal columns: conjugated they are the rows of NumPy's ``vh``.
    report : EigenReport

    Examples
    --------
    >>> import dolmen as dm
    >>> A = dm.CsrMatrix.from_diagonals([1.0, -1.0], [0, 1], 100)
    >>> U, s, V, report = dm.svds(A, 2)
    >>> s.round(4)
    array([1.9998, 1.999 ])
    """
    operator = A if isinstance(A, LinearOperator) else aslinearoperator(A)
    with operator.comm.agreeing():
        options = _options(k, _part(which, _SINGULAR, None), basis, rtol, max_iterations, monitor, snapshots, snapshot_every, resume)
        _need_known(method, ("golub-kahan",))
    matrices = None if method is not None else _matrices(operator, None, None, None, options)
    with _watching(options, operator) as options:
        native = _dolmen.singular_values(operator._native, None if matrices is None else matrices[0], options)
    return MultiVector._wrap(native["u"]), native["values"], MultiVector._wrap(native["v"]), _report(native)


def _promoted(A: Any, mass: Any) -> tuple[LinearOperator, Any]:
    """Return the operator and the mass matrix in one dtype."""
    operator = A if isinstance(A, LinearOperator) else aslinearoperator(A)
    if mass is None:
        return operator, None
    beside = aslinearoperator(mass, operator.domain)
    dtype = np.result_type(operator.dtype, beside.dtype)
    made = []
    for name, one in (("A", operator), ("the mass matrix", beside)):
        if one.dtype != dtype:
            if not isinstance(one, CsrMatrix):
                raise TypeError(f"{name} is an operator of dtype {one.dtype}, the other one has {dtype}; make it with dtype={str(dtype)!r}")
            one = one.astype(dtype)
        made.append(one)
    return made[0], made[1]


def _part(which: str, parts: dict[str, str], sigma: Any) -> str:
    if which not in parts:
        raise ValueError(f"which={which!r} is not known; use {', '.join(parts)}")
    if sigma is not None and which != "LM":
        raise ValueError(f"which={which!r} and sigma={sigma!r} exclude each other: sigma finds the eigenvalues nearest to it")
    return parts[which]


def _options(
    k: Any, part: str, basis: Any, rtol: Any, max_iterations: Any, monitor: Any, snapshots: Any, snapshot_every: Any, resume: Any
) -> dict[str, Any]:
    """Return the arguments of all methods, checked."""
    numbers = {"k": k, "max_iterations": max_iterations, "snapshot_every": snapshot_every}
    for name, value in {**numbers, "basis": 1 if basis is None else basis}.items():
        try:
            good = 0 <= index(value) < 2**62
        except TypeError:
            raise TypeError(f"{name}={value!r}: expected a whole number") from None
        if not good:
            raise ValueError(f"{name}={value!r}: expected a number of 0 or more")
    if not isinstance(rtol, Real):
        raise TypeError(f"rtol={rtol!r}: expected a number")
    if snapshot_every and snapshots is None:
        raise ValueError("snapshot_every needs snapshots=FUNCTION, which takes them")
    if resume is not None and not isinstance(resume, Snapshot):
        raise TypeError(f"resume={resume!r}: expected a Snapshot")
    return {
        "count": index(k),
        "part": part,
        "shift": None,
        "mass": None,
        "inverse": None,
        "preconditioner": None,
        "start": None,
        "basis": basis,
        "rtol": float(rtol),
        "max_iterations": max_iterations,
        "monitor": monitor,
        "snapshots": None if snapshots is None else lambda native: snapshots(Snapshot._wrap(native)),
        "snapshot_every": snapshot_every,
        "resume": _native_of(resume),
    }


def _native_of(argument: Any) -> Any:
    return None if argument is None else argument._native


def _need_known(method: str | None, known: tuple[str, ...]) -> None:
    if method is not None and method not in known:
        raise ValueError(f"method={method!r} is not known; use {' or '.join(map(repr, known))}, or leave it out")


def _need_fitting(lobpcg: bool, part: str, others: dict[str, Any], preconditioner: Any, start: Any) -> None:
    """Refuse arguments of the other method."""
    if lobpcg:
        given = [name for name, value in others.items() if value is not None]
        if given:
            raise ValueError(f"{given[0]} is for method=\"lanczos\", and the method is LOBPCG; leave out one of them")
        if part not in ("LR", "SR"):
            raise ValueError("LOBPCG finds the ends of a spectrum: give which=\"SA\" or \"LA\"")
    elif preconditioner is not None or start is not None:
        raise ValueError("a preconditioner and vectors to start from are for method=\"lobpcg\"; leave out one of them")
    if start is not None and not isinstance(start, MultiVector):
        raise TypeError(f"start is a {type(start).__name__}, expected a MultiVector")


def _matrices(
    operator: Any, mass: Any, inverse: Any, mass_inverse: Any, options: dict[str, Any]
) -> tuple[_dolmen.Matrix, _dolmen.Matrix | None] | None:
    """Return the matrices from which a method is chosen; None for operators, and with arguments that only one method has."""
    special = (inverse, mass_inverse, options["basis"], options["snapshots"], options["resume"])
    if not isinstance(operator, CsrMatrix) or not all(one is None for one in special):
        return None
    if mass is None:
        return operator._matrix, None
    return (operator._matrix, mass._matrix) if isinstance(mass, CsrMatrix) else None


def _shift(which: str, sigma: Any) -> Any:
    return 0.0 if sigma is None and which == "SM" else sigma


def _inverse_of(operator: LinearOperator, mass: Any, shift: Any, inverse: Any, mass_inverse: Any) -> LinearOperator | None:
    """Return what solves with ``A - shift M``, or without a shift with M; None where nothing has to."""
    if shift is None:
        if inverse is not None:
            raise ValueError("inverse needs sigma=NUMBER, the one that eigenvalues are to be near to; of zero which=\"SM\" will do")
        if mass is None or mass_inverse is not None:
            return None if mass is None else aslinearoperator(mass_inverse, operator.domain)
        if not isinstance(mass, CsrMatrix):
            raise ValueError("the mass matrix is an operator; give mass_inverse=OPERATOR, which solves with it")
        return Preconditioner(mass, "direct")
    if inverse is not None:
        return aslinearoperator(inverse, operator.domain)
    if not isinstance(operator, CsrMatrix) or not (mass is None or isinstance(mass, CsrMatrix)):
        raise ValueError(f"eigenvalues nearest to {shift} of an operator need inverse=OPERATOR, which solves with A - {shift} M")
    beside = CsrMatrix.from_diagonals([1.0], [0], operator.domain).astype(operator.dtype) if mass is None else mass
    return Preconditioner(operator - beside * (complex(shift) if operator.dtype.kind == "c" else float(shift)), "direct")


@contextmanager
def _watching(options: dict[str, Any], *operators: Any) -> Iterator[dict[str, Any]]:
    """Delay Ctrl-C where several ranks call Python functions; yield the options with the monitor to use."""
    watched = options["monitor"] is not None or options["snapshots"] is not None or any(map(is_python, operators))
    if watched and operators[0].comm.size > 1:
        with delayed(options["monitor"]) as monitor:
            yield {**options, "monitor": monitor}
    else:
        yield options


def _complex(native: dict[str, Any]) -> MultiVector:
    """Return the eigenvectors as complex ones."""
    vectors = MultiVector._wrap(native["vectors"])
    if vectors.dtype.kind == "c":
        return vectors
    whole = MultiVector(vectors.layout, len(vectors), np.result_type(vectors.dtype, np.complex64))
    whole.local[...] = vectors.local
    if native["imaginary"] is not None:
        whole.local.imag[...] = native["imaginary"].local
    return whole


def _report(native: dict[str, Any]) -> EigenReport:
    fields = native["report"]
    why = native.get("why") or f"{fields['method']}: by name, or because of an operator or an argument that only it takes"
    return EigenReport(**fields, why=why)
