"""The Python of the pages in docs/python runs, page by page, as one script."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest
from launch import clean_environment

ROOT = pathlib.Path(__file__).resolve().parents[2]
# These have no Python of their own.
WITHOUT = ("README.md", "install.md", "performance.md")
PAGES = sorted(page for page in (ROOT / "docs/python").glob("*.md") if page.name not in WITHOUT)
PAGES += [ROOT / "docs/nonlinear.md", ROOT / "docs/field-split.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DEFINITIONS = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def script_of(text):
    """Return the blocks of a page as a script, in which all but definitions runs under the guard that pools of processes need."""
    parts = []
    for statement in ast.parse("\n".join(BLOCK.findall(text))).body:
        code = ast.unparse(statement)
        if not isinstance(statement, DEFINITIONS):
            code = 'if __name__ == "__main__":\n    ' + ast.unparse(statement).replace("\n", "\n    ")
        parts.append(code)
    return "\n".join(parts)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page, tmp_path):
    text = script_of(page.read_text())
    assert text, f"{page.name} has no Python"
    script = tmp_path / f"page_{page.stem}.py"
    script.write_text(text)
    command = [sys.executable, script.name]
    ended = subprocess.run(command, cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout


def test_there_are_pages():
    assert PAGES
