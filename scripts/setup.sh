#!/usr/bin/env bash
# Check what Dolmen needs from the system and install what is missing, where apt-get can.
# With everything present it prints one line and changes nothing. MPI=openmpi|mpich selects
# the MPI flavor and the HDF5 built for it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh
. scripts/python.sh

have() { command -v "$1" >/dev/null 2>&1; }

is_parallel() { grep -qs 'define H5_HAVE_PARALLEL 1' "$1"/H5pubconf*.h; }

have_parallel_hdf5() {
    if [ -n "${HDF5_DIR:-}" ]; then
        is_parallel "$HDF5_DIR/include"
    elif [ -e /etc/debian_version ]; then
        have pkg-config && pkg-config --exists "hdf5-$MPI"
    else
        have pkg-config && is_parallel "$(pkg-config --variable=includedir hdf5)"
    fi
}

# What bindgen loads: libclang itself, not LLVM's libclang-cpp, and the headers of that compiler beside it.
have_libclang() {
    local folder
    for folder in ${LIBCLANG_PATH:-/usr/lib/llvm-*/lib /usr/lib /usr/lib64 $(llvm-config --libdir 2>/dev/null)}; do
        compgen -G "$folder/libclang.so*" >/dev/null || compgen -G "$folder/libclang-[0-9]*.so*" >/dev/null || continue
        compgen -G "$folder/clang/*/include/stddef.h" >/dev/null && return
        compgen -G "/usr/lib/clang/*/include/stddef.h" >/dev/null && return
    done
    return 1
}

have_python_headers() {
    "$python" -c 'import os, sysconfig
raise SystemExit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null
}

have_modules() {
    "$python" -c 'import sys
from importlib.util import find_spec
raise SystemExit(any(find_spec(name) is None for name in sys.argv[1:]))' "$@" 2>/dev/null
}

# A build of PETSc with its Python module, where Debian puts them.
have_petsc() { compgen -G "/usr/lib/petscdir/$1*/*-$2/lib/python3/dist-packages/petsc4py" >/dev/null; }

required=()   # Debian packages without which nothing builds
modules=()    # the same for people without Debian
optional=()   # Debian packages for the demo's sky and the tests with Python and networks

need() {
    modules+=("$1")
    shift
    required+=("$@")
}

# The flavor of an MPI compiler wrapper by the macros of its mpi.h; nothing if it finds none.
mpi_flavor() {
    { echo '#include <mpi.h>' | "$1" -E -dM -x c - 2>/dev/null || true; } |
        awk '$2 == "OMPI_MAJOR_VERSION" { print "openmpi" } $2 == "MPICH_VERSION" { print "mpich" }'
}

# The wrapper alone does not do: Debian's openmpi-bin has one without the headers.
have_mpi() { [ -n "$(mpi_flavor "${MPICC:-mpicc}")" ]; }

check_flavor() {
    local wrapper=${MPICC:-mpicc} found
    found=$(mpi_flavor "$wrapper")
    if [ "$found" != "$MPI" ]; then
        echo "setup: $wrapper compiles for ${found:-an unknown MPI}, but MPI=$MPI is asked for;" >&2
        echo "       set MPI or MPICC, or load the other MPI's module" >&2
        exit 1
    fi
}

collect_missing() {
    required=() modules=() optional=()
    have cc || need "a C compiler" gcc libc6-dev
    have pkg-config || need "pkg-config" pkg-config
    if [ "$MPI" = openmpi ]; then
        have_mpi || need "MPI (Open MPI)" libopenmpi-dev openmpi-bin
    else
        have_mpi || need "MPI (MPICH)" libmpich-dev mpich
    fi
    have_parallel_hdf5 || need "parallel HDF5 for that MPI" "libhdf5-$MPI-dev"
    { have pkg-config && pkg-config --exists openblas; } || need "OpenBLAS" libopenblas-dev
    have_libclang || need "libclang" libclang-dev
    have_python_headers || need "Python headers" python3-dev
    have_modules venv ensurepip || need "Python's venv module" python3-venv

    have ip || optional+=(iproute2)
    [ -d /usr/share/healpy ] || optional+=(healpy-data)
    for name in healpy h5py astropy pytest; do
        have_modules "$name" || optional+=("python3-$name")
    done
    # PETSc's files differ with its numbers and indices: 50 MB for all four kinds. Tests look for each where
    # Debian puts it: python3-petsc4py itself only points to the one that petsc-dev selects. Debian builds them
    # for Open MPI, which they would make the default MPI.
    [ "$MPI" = openmpi ] || return 0
    for numbers in real complex; do
        have_petsc petsc3 "$numbers" || optional+=("python3-petsc4py-$numbers")
        have_petsc petsc64 "$numbers" || optional+=("python3-petsc4py-64-$numbers")
    done
}

apt_prefix() {
    have apt-get || return 1
    if [ "$(id -u)" -eq 0 ]; then
        echo env
    elif have sudo && sudo -n true 2>/dev/null; then
        echo sudo
    else
        return 1
    fi
}

apt_install() {
    local prefix=$1
    shift
    echo "setup: installing with apt-get: $*"
    "$prefix" DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

install_missing() {
    local prefix
    if ! prefix=$(apt_prefix); then
        [ ${#required[@]} -eq 0 ] && return
        echo "setup: missing, and not installable from here (no apt-get, or neither root nor sudo):"
        printf '  %s\n' "${modules[@]}"
        echo "On Debian or Ubuntu: apt-get install ${required[*]}"
        echo "On a cluster: load the modules for MPI, parallel HDF5, OpenBLAS, libclang and pkg-config;"
        echo "HDF5_DIR, LIBCLANG_PATH, MPICC and PKG_CONFIG_PATH select particular installations."
        exit 1
    fi
    echo "setup: refreshing the package lists"
    "$prefix" apt-get update -q || echo "setup: the package lists could not be refreshed"
    if [ ${#required[@]} -gt 0 ]; then
        apt_install "$prefix" "${required[@]}"
    fi
    # A name that this release does not have must not keep the others away.
    if [ ${#optional[@]} -gt 0 ] && ! apt_install "$prefix" "${optional[@]}"; then
        for package in "${optional[@]}"; do
            apt_install "$prefix" "$package" || true
        done
    fi
}

if ! have cargo; then
    echo "setup: Rust is missing; install it with rustup, then run this again" >&2
    exit 1
fi

# Optional packages that could not be installed, so that not every target tries again.
refused=out/setup-not-installed

is_new() { [ "$(cat "$refused" 2>/dev/null)" != "${optional[*]}" ]; }

collect_missing
if [ ${#required[@]} -gt 0 ] || { [ ${#optional[@]} -gt 0 ] && is_new; }; then
    install_missing
    collect_missing
fi
if [ ${#required[@]} -gt 0 ]; then
    echo "setup: still missing after the installation: ${modules[*]} (${required[*]})" >&2
    exit 1
fi
if [ ${#optional[@]} -gt 0 ]; then
    mkdir -p out
    echo "${optional[*]}" >"$refused"
    echo "setup: warning: not installed, some tests are skipped or the demo's sky is synthetic: ${optional[*]}"
    echo "setup: (remove $refused to have their installation tried again)"
else
    rm -f "$refused"
fi
check_flavor
echo "setup: ready ($MPI)"
