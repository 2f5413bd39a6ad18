"""The built Python module belongs to this checkout."""

import pathlib
import re

import dolmen

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_version_is_the_workspaces():
    manifest = (ROOT / "Cargo.toml").read_text()
    (version,) = re.findall(r'^version = "(.*)"$', manifest, re.MULTILINE)
    assert dolmen.__version__ == version
