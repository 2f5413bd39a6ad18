#!/usr/bin/env bash
# Run the examples in the docstrings of the Python module in a folder: scripts/doctests.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
module=$1 python=$PWD/out/venv/bin/python
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
PYTHONPATH=$module "$python" -m pytest -q --color=no -p no:cacheprovider --doctest-modules --pyargs dolmen
