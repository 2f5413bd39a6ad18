"""Independent tasks on a laptop, in a batch job and on a cluster.

`map` applies a function to every item, by any executor in the sense of `concurrent.futures`. It returns the results in order, reports
the items that fail instead of ending the run, kills those that exceed a time limit, and resumes an interrupted run from its journal.

Functions
---------
map, starmap, imap
    Apply a function to every item.
map_reduce
    Apply a function to every item and combine the results.
pipeline
    Apply several functions one after the other.
run
    Run a program for every item.

``python -m dolmen.farm SCRIPT:FUNCTION FILES...`` does it from a shell.

Examples
--------
>>> from dolmen import farm
>>> farm.map(abs, [-1, 2, -3], processes=1).results
[1, 2, 3]
"""

from ._api import imap, map, map_reduce, pipeline, run, starmap
from ._programs import Finished, ProgramError
from ._report import ExecutorError, FarmError, Failure, ItemError, JournalError, Report, Straggler, Summary
from ._run import Stream

__all__ = [
    "ExecutorError",
    "Failure",
    "FarmError",
    "Finished",
    "ItemError",
    "JournalError",
    "ProgramError",
    "Report",
    "Straggler",
    "Stream",
    "Summary",
    "imap",
    "map",
    "map_reduce",
    "pipeline",
    "run",
    "starmap",
]
