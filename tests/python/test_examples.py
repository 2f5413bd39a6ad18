"""Every example runs on several ranks and checks its own result."""

import pytest
from launch import ROOT, mpirun

EXAMPLES = ROOT / "examples" / "python"
#: Arguments that make an example small.
SMALL = {"poisson.py": ["60"]}
#: Tested by the tests of the farm.
ELSEWHERE = {"fits_to_hdf5.py"}


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py") if path.name not in ELSEWHERE))
def test_example(name, ranks, in_folder):
    process = mpirun(ranks, EXAMPLES / name, *SMALL.get(name, []), cwd=in_folder)
    assert process.returncode == 0, process.stdout[-3000:]
    assert process.stdout.strip()
