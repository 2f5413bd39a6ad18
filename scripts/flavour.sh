# Sourced by the other scripts and the Makefile, at the top of the checkout: what the choice of MPI
# (MPI=openmpi or MPI=mpich; by default what mpicc compiles for) means for building.
#
# The MPI of mpicc is the plain environment, so that `cargo build` typed by hand and `make` share one
# target directory; another one gets a target directory of its own.

. scripts/which-mpi.sh

case $MPI in
    "$plain_mpi") ;;
    openmpi | mpich)
        export MPICC="${MPICC:-mpicc.$MPI}"
        export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target/$MPI}"
        ;;
    *)
        echo "MPI=$MPI is not known: use MPI=openmpi or MPI=mpich" >&2
        exit 2
        ;;
esac
target_dir=${CARGO_TARGET_DIR:-$PWD/target}

# Debian has an HDF5 for each MPI, and `hdf5` is whichever its alternatives point to.
hdf5_libdir() { pkg-config --libs-only-L "$1" 2>/dev/null | sed 's/^-L//; s/ .*//'; }
if [ -z "${HDF5_DIR:-}" ] && hdf5_wanted=$(hdf5_libdir "hdf5-$MPI") && [ -n "$hdf5_wanted" ] &&
    [ "$hdf5_wanted" != "$(hdf5_libdir hdf5)" ]; then
    export HDF5_DIR="$hdf5_wanted"
fi
