"""The distributed tests on several ranks; on one they run in this process."""

import re

import pytest
from launch import ROOT, mpirun


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_distributed(ranks):
    arguments = ["-m", "pytest", "-q", "-x", "--color=no", "--tb=short", "-p", "no:cacheprovider", ROOT / "tests" / "python" / "distributed"]
    process = mpirun(ranks, *arguments, timeout=300)
    tail = process.stdout[-4000:]
    assert process.returncode == 0, tail
    assert len(re.findall(r"\d+ passed", process.stdout)) == ranks, tail
