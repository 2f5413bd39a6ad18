#!/usr/bin/env python3
"""Run SciPy's own tests of its solvers against `dolmen.linalg`.

The tests are those of the installed SciPy, 1.14 or newer; nothing of them is kept here. The functions of `dolmen.linalg`
take the place of SciPy's before the tests are imported. Tests of methods that `dolmen.linalg` does not have are left out.
A failure that is not in `INTERNALS`, or a test in it that passes, is an error.

    python tests/python/scipy_suite.py [arguments of pytest]
"""

import collections
import importlib
import pathlib
import re
import sys

import numpy as np
import pytest
import scipy
import scipy.sparse.linalg

import dolmen.linalg

#: Files of tests, by the module of the functions that they test.
FILES = {
    "_isolve": ("test_iterative.py", "test_minres.py", "test_lsqr.py", "test_lsmr.py"),
    "_eigen": ("test_svds.py",),
    "_eigen/arpack": ("test_arpack.py",),
    "_eigen/lobpcg": ("test_lobpcg.py",),
}
#: Functions, by the module in which the tests look for them.
NAMES = {
    "_isolve": ("bicgstab", "cg", "gmres", "lsmr", "lsqr", "minres"),
    "_eigen.arpack": ("ArpackNoConvergence", "eigs", "eigsh"),
    "_eigen.lobpcg": ("lobpcg",),
    "_eigen": ("svds",),
}

#: Tests that are about SciPy's internals, or about what `dolmen.linalg` refuses, by a pattern of their names and failures: the
#: failure that is expected, and the reason.
INTERNALS = {
    r"test_precond_inverse\[": (
        "assert 4 <= 3",
        "counts products; one is spent on the residual of the guess, and one to compute the last residual afresh",
    ),
    r"TestGMRES::test_callback:": (
        "AssertionError",
        "expects the residual that is preconditioned from the left; ours is |b - A x| / |b|, with which the solve stops",
    ),
    r"_modes\[.*mode='(buckling|cayley)'": ("ValueError", "a shift finds the eigenvalues nearest to it, which needs no other mode"),
    r"_modes\[.*OPpart='i'": ("ValueError", "a shift finds the eigenvalues nearest to it, real or complex"),
    r"(_modes\[|k_subset).*exclude each other": ("ValueError", "a shift finds the eigenvalues nearest to it, and no others"),
    r"_modes\[.*need sigma and OPinv": ("ValueError", "an operator is not inverted by an iteration that nobody asked for"),
    r"_modes\[.*give Minv": ("ValueError", "M as an operator is not inverted by an iteration that nobody asked for"),
    r"_modes\[.*which='BE'": ("ValueError", "both ends are found by two calls"),
    r"test_hermitian_modes\[D2-F-": (
        "ArpackNoConvergence",
        "the condition of M leaves residuals of 1e-4 to 1e-3 in single precision; they are computed afresh",
    ),
    r"test_eigs_for_k_greater": ("AssertionError", "expects the bits of scipy.linalg.eig, and errors for all eigenvalues"),
    r"test_eigsh_for_k_greater": ("not Hermitian", "gives eigsh a matrix that is not Hermitian"),
    r"test_reentering": ("ArpackNoConvergence", "its operator is not linear and has no eigenvalues"),
    r"no_convergence|test_svd_maxiter": ("", "its matrix is so small that LAPACK finds all values, without an iteration"),
    r"test_svd_(rng|v0)": ("DID NOT RAISE", "expects other bits for another starting vector; ours are the same in each run"),
    r"test_dtypes\[": ("AssertionError", "expects real eigenvectors of complex problems; their phase is arbitrary"),
    r"test_diagonal.*Y is given": ("ValueError", "constraints are refused"),
    r"test_ElasticRod": ("AssertionError", "the tolerance of residuals is relative"),
    r"test_(fiedler_small_8|inplace_warning|verbosity|maxit|nonhermitian_warning|failure_to_run_iterations_nonsymmetric)": (
        "warnings",
        "expects the words of a warning of SciPy's algorithm, or its histories",
    ),
}


class Suite:
    """A plugin of pytest that selects tests and counts outcomes."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.left_out = 0

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        ours = [item for item in items if is_ours(item)]
        self.left_out = len(items) - len(ours)
        items[:] = ours

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.split("tests/")[-1]
        if report.failed:
            self.outcomes[name] = "failed"
            self.texts[name] = str(getattr(report.longrepr, "reprcrash", report.longrepr))
        elif report.when == "call" or report.skipped:
            expected = {"skipped": "failed as SciPy's does", "passed": "passed where SciPy's fails"}
            self.outcomes.setdefault(name, expected[report.outcome] if hasattr(report, "wasxfail") else report.outcome)


#: Tests of parts of SciPy's functions, and of the words of its messages, by a pattern of their names.
OTHERS = re.compile(r"::test_show|TestQMR|_b_orthonormalize|_deallocation|_input_validation|Test_SVDS_(LOBPCG|PROPACK)|Test_SVDS_once")


def is_ours(item: pytest.Item) -> bool:
    """Return True for a test that calls a function of `dolmen.linalg`."""
    if OTHERS.search(item.nodeid):
        return False
    if "_isolve" not in item.nodeid:
        return True
    parameters = getattr(item, "callspec", None)
    for value in parameters.params.values() if parameters is not None else ():
        solver = getattr(value, "solver", value)
        if callable(solver):
            return solver.__module__.startswith("dolmen")
    return True


def substitute() -> None:
    """Put the functions of dolmen in the place of SciPy's."""
    for module, names in NAMES.items():
        for name in names:
            for place in (importlib.import_module(f"scipy.sparse.linalg.{module}"), scipy.sparse.linalg):
                setattr(place, name, getattr(dolmen.linalg, name))


def judge(suite: Suite) -> int:
    """Print the outcomes; return the number of surprises."""
    surprises = []
    listed = collections.Counter()
    for name, outcome in sorted(suite.outcomes.items()):
        told = f"{name}: {suite.texts.get(name, '')}"
        pattern = next((pattern for pattern in INTERNALS if re.search(pattern, told, re.DOTALL)), "")
        if outcome == "failed" and pattern and INTERNALS[pattern][0] in suite.texts[name]:
            listed[pattern] += 1
        elif outcome == "failed":
            surprises.append(f"{name} failed: {suite.texts[name]}")
    for pattern, (_, reason) in INTERNALS.items():
        if listed[pattern]:
            print(f"listed: {listed[pattern]} x {pattern}: {reason}")
        else:
            surprises.append(f"{pattern} is listed, and no test of this name failed; remove it from INTERNALS")
    print("\n".join(surprises))
    counts = collections.Counter(suite.outcomes.values())
    total = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    print(f"SciPy {scipy.__version__}: {total}; {sum(listed.values())} of the failures listed; {suite.left_out} left out")
    return len(surprises)


def main() -> int:
    version = tuple(int(part) for part in scipy.__version__.split(".")[:2])
    if version < (1, 14):
        print(f"SciPy {scipy.__version__} is installed; its tests have other signatures: install 1.14 or newer", file=sys.stderr)
        return 2
    folder = pathlib.Path(scipy.sparse.linalg.__file__).parent
    files = [folder / module / "tests" / file for module, names in FILES.items() for file in names]
    missing = next((file for file in files if not file.exists()), None)
    if missing is not None:
        print(f"{missing} does not exist; install a SciPy with its tests, such as the wheel", file=sys.stderr)
        return 2
    # Some tests draw their matrices when they are imported.
    np.random.seed(1)
    substitute()
    suite = Suite()
    quiet = ["-q", "--tb=line", "-p", "no:cacheprovider", "--no-header", "--no-summary", *sys.argv[1:]]
    code = pytest.main([*quiet, *map(str, files)], plugins=[suite])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return 10 + int(code)
    return 1 if judge(suite) else 0


if __name__ == "__main__":
    sys.exit(main())
