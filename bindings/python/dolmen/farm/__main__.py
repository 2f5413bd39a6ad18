"""Apply a function of a script to files: ``python -m dolmen.farm SCRIPT:FUNCTION FILES...``."""

import sys

from ._command import main

if __name__ == "__main__":
    sys.exit(main())
