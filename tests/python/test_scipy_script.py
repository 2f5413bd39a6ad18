"""The example that was a SciPy script gives the same digits on any number of ranks, which are SciPy's."""

import pytest
from launch import ROOT, mpirun


@pytest.mark.parametrize("ranks", [1, 4])
def test_scipy_script(ranks):
    ended = mpirun(ranks, ROOT / "examples" / "python" / "scipy_script.py")
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout == "3600 unknowns, 247 iterations, warmest 2.370172, mean 0.337059\n"
