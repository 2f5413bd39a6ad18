#!/usr/bin/env bash
# Build the Python module `dolmen` into the virtual environment out/venv.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh
. scripts/python.sh

venv=$PWD/out/venv
if ! [ -x "$venv/bin/python" ]; then
    "$python" -m venv --system-site-packages "$venv"
fi
for package in maturin pytest; do
    if ! "$venv/bin/python" -c "import $package" 2>/dev/null; then
        "$venv/bin/python" -m pip install --quiet "$package"
    fi
done
cd bindings
VIRTUAL_ENV=$venv "$venv/bin/python" -m maturin develop --quiet --release
