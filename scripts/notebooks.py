#!/usr/bin/env python3
"""Execute notebooks, or remove their outputs: scripts/notebooks.py run|strip NOTEBOOK...

- run executes each notebook and writes it with its outputs into the folder --output, by default out/notebooks. Engines of ipyparallel
  are started by scripts/mpirun.sh, so that ranks may outnumber cores. It needs nbclient and ipykernel.
- strip removes outputs and execution counts in place. Notebooks are stored without them.
"""
import argparse
import json
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
#: Seconds that a cell may take.
PATIENCE = 100


def stripped(text):
    """Returns the text of a notebook without outputs and execution counts."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None, metadata={})
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def execute(path, folder):
    """Executes a notebook in a scratch folder, and writes it with its outputs into `folder`, also where a cell fails."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="notebook-") as scratch:
        os.environ["IPYTHONDIR"] = configure_engines(pathlib.Path(scratch) / "ipython")
        client = NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources={"metadata": {"path": scratch}})
        try:
            client.execute()
        finally:
            nbformat.write(notebook, folder / path.name)


def configure_engines(folder):
    """Makes a folder of IPython whose profile starts engines by the launcher of the tests; returns its name."""
    profile = folder / "profile_default"
    profile.mkdir(parents=True)
    launcher = str(ROOT / "scripts" / "mpirun.sh")
    (profile / "ipcluster_config.py").write_text(f"c = get_config()\nc.MPILauncher.mpi_cmd = [{launcher!r}]\n")
    return str(folder)


def main():
    parser = argparse.ArgumentParser(description="Execute notebooks, or remove their outputs.")
    parser.add_argument("command", choices=["run", "strip"])
    parser.add_argument("notebooks", nargs="+", type=pathlib.Path, metavar="NOTEBOOK")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "out" / "notebooks", help="folder of executed notebooks")
    arguments = parser.parse_args()
    if arguments.command == "strip":
        for path in arguments.notebooks:
            path.write_text(stripped(path.read_text(encoding="utf-8")), encoding="utf-8")
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    for path in arguments.notebooks:
        execute(path, arguments.output)
        print(arguments.output / path.name)


if __name__ == "__main__":
    sys.exit(main())
