from spack_repo.builtin.build_systems.generic import Package

from spack.package import *


class Dolmen(Package):
    """Distributed linear algebra over MPI: the Python module dolmen and the programs dolmen and mapmaker."""

    homepage = "https://github.com/dolmen-developers/dolmen"
    git = "https://github.com/dolmen-developers/dolmen.git"

    license("Apache-2.0 OR MIT")

    version("main", branch="main")

    extends("python@3.10:")
    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("mpi")
    depends_on("hdf5@1.10.2:+mpi+shared")
    depends_on("openblas")
    depends_on("py-numpy@1.22:", type=("build", "run"))
    depends_on("py-pip", type="build")
    depends_on("py-maturin@1.9:1", type="build")
    depends_on("rust@1.95:", type="build")
    depends_on("llvm+clang", type="build")
    depends_on("pkgconfig", type="build")

    def setup_build_environment(self, env):
        env.set("MPICC", self.spec["mpi"].mpicc)
        env.set("HDF5_DIR", self.spec["hdf5"].prefix)
        env.set("LIBCLANG_PATH", self.spec["llvm"].prefix.lib)
        env.prepend_path("LIBRARY_PATH", self.spec["openblas"].libs.directories[0])

    def install(self, spec, prefix):
        script = Executable(join_path(self.stage.source_path, "scripts", "packages", "install.sh"))
        script.add_default_env("PYTHON", spec["python"].command.path)
        script(prefix, "--no-build-isolation")
