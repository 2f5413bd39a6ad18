#!python
"""Start the program of this file's name, dolmen or mapmaker, that the wheel holds in dolmen/bin."""

import importlib.util
import os
import sys

name = os.path.basename(sys.argv[0])
# Finds the package without importing it: a thousand ranks would each load its libraries in vain.
package = importlib.util.find_spec("dolmen")
if package is None:
    sys.exit(f"{name}: {sys.executable} finds no package dolmen; install the wheel again")
folder = package.submodule_search_locations[0]
program = os.path.join(folder, "bin", name)
if not os.path.exists(program):
    sys.exit(f"{name}: {program} does not exist: another package dolmen hides the wheel's; remove {folder} from PYTHONPATH")
os.execv(program, sys.argv)
