# Sourced (POSIX shell): plain_mpi is the MPI that the plain environment compiles for, openmpi or mpich: mpicc's,
# and Open MPI where there is no mpicc yet. MPI is set to it where it is not set.

plain_mpi=openmpi
if command -v mpicc >/dev/null 2>&1; then
    # Only Open MPI's wrapper knows this option.
    case $(mpicc --showme:version 2>/dev/null) in
        *"Open MPI"*) ;;
        *) plain_mpi=mpich ;;
    esac
fi
MPI=${MPI:-$plain_mpi}
export MPI
