#!/usr/bin/env bash
# Write the reference of the Python module, from its docstrings, to out/python-doc.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=out/venv/bin/python
"$venv" -c 'import pdoc' 2>/dev/null || "$venv" -m pip install --quiet pdoc
"$venv" -m pdoc --docformat numpy --output-directory out/python-doc dolmen
echo "python-doc: out/python-doc/dolmen.html"
