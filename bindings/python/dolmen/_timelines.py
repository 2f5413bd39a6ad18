"""Timelines of other programs, converted to those that the map-maker reads."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Union

from . import _dolmen
from ._comm import as_comm
from ._errors import FileError

#: A file, a pattern of names of files, or several of them.
Files = Union[str, "os.PathLike[str]", Sequence[Union[str, "os.PathLike[str]"]]]

#: A value for all detectors, or a dictionary of values by names or patterns of names.
OfDetectors = Union[float, Mapping[str, float]]


def import_tod(
    files: Files,
    output: str | os.PathLike[str],
    *,
    net: OfDetectors | None = None,
    fknee: OfDetectors | None = None,
    alpha: OfDetectors | None = None,
    fmin: OfDetectors | None = None,
    pol_efficiency: OfDetectors | None = None,
    sample_rate: float | None = None,
    coordinates: str | None = None,
    psi_convention: str | None = None,
    units: str | None = None,
    angle_unit: str | None = None,
    signal: str | None = None,
    observation: str | None = None,
    boresight: str | None = None,
    intervals: str | None = None,
    comm: Any = None,
    allow_external: bool = False,
) -> int:
    """Convert timelines of other programs, as ``mapmaker import`` does. Collective.

    Values that are given replace those of the files.

    Parameters
    ----------
    files : path or sequence of paths
        FITS files with a table for each detector, or observations that TOAST 3 has saved; also patterns.
    output : path
        File of timelines to write, over an older file of that name.
    net, fknee, alpha, fmin, pol_efficiency : float or mapping, optional
        Noise of the detectors (white noise in the unit of the signal times sqrt(s), frequencies in Hz) and their
        polarization efficiency: for all, or by name or pattern, of which the last that fits counts.
    sample_rate : float, optional
        Sampling rate in Hz.
    coordinates : str, optional
        Frame of the pointing: ``"C"``, ``"G"`` or ``"E"``.
    psi_convention : str, optional
        Convention of the angles in FITS tables: ``"COSMO"`` or ``"IAU"``.
    units : str, optional
        Unit of the signal.
    angle_unit : str, optional
        Unit of the angles in FITS tables: ``"rad"`` or ``"deg"``.
    signal : str, optional
        FITS column of the signal, or TOAST's detector data that have it.
    observation : str, optional
        Name of the one observation of which all FITS tables are detectors; otherwise each file is an observation.
    boresight, intervals : str, optional
        Names of TOAST's quaternions of the boresight, and of the intervals that are the stationary ranges of samples.
    comm : Comm, optional
        The ranks that share the work; all by default.
    allow_external : bool
        Read timelines that lie in other files than those that are named.

    Returns
    -------
    samples : int
    """
    group = as_comm(comm)
    with group.agreeing():
        if not isinstance(allow_external, bool):
            raise TypeError(f"allow_external={allow_external!r}: expected True or False")
        texts = {
            "coordinates": coordinates,
            "psi_convention": psi_convention,
            "units": units,
            "angle_unit": angle_unit,
            "signal": signal,
            "observation": observation,
            "boresight": boresight,
            "intervals": intervals,
        }
        for name, text in texts.items():
            if text is not None and not isinstance(text, str):
                raise TypeError(f"{name}={text!r}: expected a text")
        values = {"net": net, "fknee": fknee, "alpha": alpha, "fmin": fmin, "pol_efficiency": pol_efficiency}
        job = {
            "files": files_of(files, "files"),
            "output": os.fspath(output),
            "sample_rate": None if sample_rate is None else _number(sample_rate, "sample_rate"),
            "allow_external": allow_external,
            **texts,
            **{name: _of_detectors(value, name) for name, value in values.items()},
        }
    group.require_same(repr(job).encode(), "the arguments")
    try:
        return _dolmen.import_timelines(group._native, job)
    except FileError as error:
        # The arguments have the names of the command's options.
        option = re.compile(r"(?<![\w/.])--([a-z-]+)( (?=[A-Z]{2}))?")
        error.args = (option.sub(lambda found: found[1].replace("-", "_") + ("=" if found[2] else ""), str(error)), *error.args[1:])
        raise


def _number(value: Any, name: str) -> float:
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
        raise TypeError(f"{name}={value!r}: expected a number")
    return float(value)


def _of_detectors(value: Any, name: str) -> list[str]:
    """Return the values for detectors as the command line has them."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [f"{names}={_number(entry, f'{name}[{names!r}]')!r}" for names, entry in value.items()]
    return [repr(_number(value, name))]


def files_of(given: Files, name: str) -> list[str]:
    """Return a path, or several, as a list."""
    if isinstance(given, str) or hasattr(given, "__fspath__"):
        return [os.fspath(given)]
    if not isinstance(given, Sequence) or not given or not all(isinstance(file, str) or hasattr(file, "__fspath__") for file in given):
        raise TypeError(f"{name}={given!r}: expected a path, or a list of paths")
    return [os.fspath(file) for file in given]
