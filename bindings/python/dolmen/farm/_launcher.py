"""The MPI launcher that started this process, as its environment tells."""

from __future__ import annotations

import os

# What mpirun, mpiexec, srun and aprun set for a rank. A user's own settings (OMPI_MCA_pml, ...) are kept.
_PREFIXES = (
    "OMPI_COMM_WORLD_", "OMPI_UNIVERSE_", "OMPI_APP_CTX", "OMPI_NUM_APP", "OMPI_FIRST_RANKS", "OMPI_FILE_LOCATION", "OMPI_ARGV",
    "OMPI_COMMAND", "OMPI_MCA_ess", "OMPI_MCA_orte", "OMPI_MCA_prte", "OMPI_MCA_initial_wdir", "OMPI_MCA_pmix", "OMPI_MCA_plm",
    "PMIX_", "PMI_", "PMI2_", "PRTE_", "ORTE_", "HYDRA_", "HYDI_", "MPI_LOCAL", "MPIR_", "MPISPAWN_", "MV2_COMM_WORLD_", "ALPS_APP",
    "PALS_", "SLURM_PMI", "SLURM_MPI",
)
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "PALS_SIZE")


def clean_environment() -> dict[str, str]:
    """Return the environment without the launcher's variables.

    A program that inherits them would take itself for a rank of this job, and hang or fail when it starts MPI.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIXES)}


def job_size() -> int:
    """Return the number of ranks of this job, 1 without a launcher."""
    for name in _SIZES:
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    if os.environ.get("SLURM_PROCID", "").isdigit() and os.environ.get("SLURM_STEP_NUM_TASKS", "").isdigit():
        return int(os.environ["SLURM_STEP_NUM_TASKS"])
    return 1
