#!/usr/bin/env bash
# Build the Python module: scripts/python-module.sh [release|dev]
#
# release, the default: into the virtual environment out/venv, whose `python` then has `import dolmen`.
# dev: as the tests build everything else, into out/test-module, with the packages that the tests need.
#
# The module's folder has links to the Python files of bindings/python, so that a change of them needs no new build.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh
. scripts/python.sh

kind=${1:-release}
venv=$PWD/out/venv
if ! [ -x "$venv/bin/python" ]; then
    "$python" -m venv --system-site-packages "$venv"
fi

missing() {
    "$venv/bin/python" -c 'import sys
from importlib.util import find_spec
print(*(name for name in sys.argv[1:] if find_spec(name.replace("-", "_")) is None))' "$@"
}

install() {
    # shellcheck disable=SC2046 # one word for each package
    set -- $(missing "$@")
    [ $# -eq 0 ] || "$venv/bin/python" -m pip install --quiet "$@"
}

# A current SciPy, apart from the system's: its own tests run against dolmen.linalg. It needs Python 3.11.
install_scipy() {
    local scipy=$PWD/out/venv-scipy
    "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || return 0
    if ! "$scipy/bin/python" -c 'import pytest, scipy' 2>/dev/null; then
        rm -rf "$scipy"
        "$python" -m venv --without-pip "$scipy"
        "$venv/bin/python" -m pip --python "$scipy/bin/python" install --quiet --no-compile "scipy==1.17.*" pytest
    fi
}

case $kind in
    release)
        install numpy
        cargo build --quiet --release -p dolmen-py -p dolmen-command -p dolmen-mapmaker
        folder=$PWD/out/module built=$target_dir/release/lib_dolmen.so
        ;;
    dev)
        # Debian's matplotlib does not draw in notebooks of newer ones.
        "$venv/bin/python" -m pip install --quiet "ipython<9" "matplotlib-inline<0.2"
        install numpy scipy h5py pytest mypy mpi4py tqdm cloudpickle ipyparallel distributed nbclient ipykernel
        # Its wheels want MPICH's library by a name that Debian's does not have.
        if ! "$venv/bin/python" -c 'from mpi4py import MPI' 2>/dev/null; then
            "$venv/bin/python" -m pip install --quiet --force-reinstall --no-deps --no-binary mpi4py mpi4py
        fi
        install_scipy
        cargo build --quiet --workspace --lib
        folder=$PWD/out/test-module built=$target_dir/debug/lib_dolmen.so
        ;;
    *)
        echo "python-module: $kind is not known; use release or dev" >&2
        exit 2
        ;;
esac

# Made beside and renamed, since programs may have the old one open.
mkdir -p "$folder"
rm -rf "$folder/new"
mkdir "$folder/new"
ln -s "$PWD"/bindings/python/dolmen/* "$folder/new/"
rm -f "$folder"/new/*.so
cp "$built" "$folder/new/_dolmen.abi3.so"
rm -rf "$folder/dolmen"
mv "$folder/new" "$folder/dolmen"

if [ "$kind" = release ]; then
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$folder" >"$site/dolmen.pth"
    echo "python: import dolmen works in $venv/bin/python"
fi
