#!/bin/sh
# Start a program on several ranks of this machine: scripts/mpirun.sh -n RANKS PROGRAM [ARGUMENTS]
#
# The one place where the launcher and its flags are chosen. MPI=openmpi or MPI=mpich selects the
# flavor (by default what mpicc compiles for), MPIRUN another launcher of that flavor. The flags are
# for tests and demos, where ranks may outnumber cores: unbound ranks that give up their cores while waiting.
set -eu
# Tests start many jobs: mpicc is asked only where it matters.
[ -n "${MPI:-}" ] || . "$(dirname "$0")/which-mpi.sh"

# One thread a rank: unbound ranks would each start a thread for every core.
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"

first_of() {
    for candidate in "$@"; do
        if command -v "$candidate" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "none of these MPI launchers is installed: $*; try 'make setup'" >&2
    exit 127
}

# Compiled under a name of its own and renamed: other jobs may start at the same moment.
idle_library() {
    root=$(cd "$(dirname "$0")/.." && pwd)
    library=$root/out/idle.so
    if [ ! "$library" -nt "$root/scripts/idle.c" ]; then
        mkdir -p "$root/out"
        cc -O2 -shared -fPIC -o "$library.$$" "$root/scripts/idle.c"
        mv "$library.$$" "$library"
    fi
    echo "$library${LD_PRELOAD:+:$LD_PRELOAD}"
}

case $MPI in
    openmpi)
        launcher=${MPIRUN:-$(first_of mpirun.openmpi mpirun)}
        if [ "$(id -u)" -eq 0 ]; then
            export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
        fi
        # Shared memory is all that one machine needs; to look for networks takes half of a short job's time.
        export OMPI_MCA_pml="${OMPI_MCA_pml-ob1}" OMPI_MCA_btl="${OMPI_MCA_btl-self,vader}"
        export OMPI_MCA_osc="${OMPI_MCA_osc-^ucx}" OMPI_MCA_coll="${OMPI_MCA_coll-^hcoll}"
        # A host that is lost ends the job after 6 seconds. By default that takes minutes.
        export OMPI_MCA_oob_tcp_keepalive_time="${OMPI_MCA_oob_tcp_keepalive_time-3}"
        export OMPI_MCA_oob_tcp_keepalive_intvl="${OMPI_MCA_oob_tcp_keepalive_intvl-1}"
        export OMPI_MCA_oob_tcp_keepalive_probes="${OMPI_MCA_oob_tcp_keepalive_probes-3}"
        # Benchmarks, whose ranks have a core each, ask for ranks that spin while waiting and stay where they are.
        if [ "${OMPI_MCA_mpi_yield_when_idle-1}" = 0 ]; then
            exec "$launcher" --oversubscribe --bind-to core:if-supported,overload-allowed "$@"
        fi
        preload=$(idle_library)
        exec "$launcher" --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 -x LD_PRELOAD="$preload" "$@"
        ;;
    mpich)
        launcher=${MPIRUN:-$(first_of mpirun.mpich mpiexec.hydra)}
        # UCX would catch faults before the program does, and hide what Rust says of them.
        export UCX_ERROR_SIGNALS="${UCX_ERROR_SIGNALS-}"
        preload=$(idle_library)
        exec "$launcher" -bind-to none -genv LD_PRELOAD "$preload" "$@"
        ;;
    *)
        echo "MPI=$MPI is not known: use MPI=openmpi or MPI=mpich" >&2
        exit 2
        ;;
esac
