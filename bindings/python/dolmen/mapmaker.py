"""The map-maker: detector timelines to sky maps, from Python.

>>> import dolmen as dm
>>> config = {
...     "map": {"nside": 8},
...     "destripe": {"baseline": 60.0},
...     "simulate": {"hours": 1.0, "sample_rate": 5.0, "sky_nside": 8},
... }
>>> samples, sky = dm.mapmaker.simulate(config, "tod.h5")
>>> result = dm.mapmaker.run(config, tod="tod.h5", folder="maps")
>>> result.report.converged
True
>>> sorted(result.maps)
['binned', 'covariance', 'destriped', 'hits', 'rcond']
>>> result.maps["destriped"]["I_STOKES"].shape
(768,)
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Union

from . import _dolmen
from ._comm import as_comm
from ._errors import SettingError, make
from ._report import SolveReport, report_of
from ._timelines import Files, files_of
from ._timelines import import_tod as import_tod

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: A file in TOML, or its sections as a dictionary.
Config = Union[str, "os.PathLike[str]", Mapping[str, Any]]


class Map(dict[str, "NDArray[np.float64]"]):
    """The columns of a HEALPix map by their names.

    Pixels that were not solved have HEALPix's value for bad ones, -1.6375e30.
    """

    #: HEALPix resolution.
    nside: int
    #: ``"RING"`` or ``"NESTED"``.
    ordering: str
    #: The frame, if the file says it.
    coordinates: str | None
    #: ``"COSMO"`` or ``"IAU"``, if the file says it.
    polarization: str | None
    #: The units of each column.
    units: dict[str, str]
    #: Lines of the file's history.
    history: list[str]


def read_map(file: str | os.PathLike[str]) -> Map:
    """Read all columns of a HEALPix map in FITS. Not collective: each rank reads all of it."""
    found = _dolmen.read_map(os.fspath(file))
    columns = Map(found.pop("columns"))
    columns.__dict__.update(found)
    return columns


@dataclass(frozen=True)
class Result:
    """Result of a map-making run."""

    #: Folder of the maps, the pictures and the report.
    folder: str
    #: Files that were written.
    files: tuple[str, ...]
    #: The solve for baseline offsets; None without destriping.
    report: SolveReport | None
    #: The solve by generalized least squares; None without it.
    gls_report: SolveReport | None
    #: Pixels with a solution, and pixels with samples.
    pixels_solved: int
    pixels_seen: int
    #: The rms against the true sky, if the configuration names it, by the name of the picture.
    residuals: dict[str, float]
    #: Units of the maps.
    units: str
    #: What the command prints at its end.
    summary: str = field(repr=False)

    @cached_property
    def maps(self) -> dict[str, Map]:
        """All maps by their short names: ``destriped``, ``gls``, ``binned``, ``hits``, ``rcond``, ``covariance``.

        Those of the parts of ``output.splits`` have the name of the part behind it, such as ``destriped_half1``.
        """
        maps = [path for path in self.files if path.endswith(".fits")]
        return {os.path.basename(path)[: -len(".fits")].replace("map_", ""): read_map(path) for path in maps}

    def _repr_html_(self) -> str:
        solve = "" if self.report is None else f"<tr><th>solve</th><td>{self.report.outcome}</td></tr>"
        return (
            f"<table><tr><th>maps</th><td>{self.folder}</td></tr>"
            f"<tr><th>pixels</th><td>{self.pixels_solved} solved of {self.pixels_seen} seen</td></tr>{solve}</table>"
        )


def run(
    config: Config,
    *,
    tod: Files | None = None,
    folder: str | os.PathLike[str] | None = None,
    comm: Any = None,
    monitor: Callable[[_dolmen.Progress], Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: str | float = "10m",
    resume: bool = False,
    allow_external: bool = False,
) -> Result:
    """Make maps of timelines, as ``mapmaker run`` does. Collective.

    Parameters
    ----------
    config : path or mapping
        A file in TOML, or its sections as a dictionary, whose paths are relative to the working directory.
    tod : path or sequence of paths, optional
        The timelines, files or patterns such as ``"day*.h5"``; replaces ``input.tod``.
    folder : path, optional
        Where results are written; replaces ``output.folder``. A temporary folder if neither is given.
    comm : Comm, optional
        The ranks that share the work; all by default.
    monitor : callable, optional
        Called with the progress of the solve on all ranks; see `dolmen.solve`.
    checkpoint, every, resume
        A folder in which the solve is saved; see `dolmen.solve`.
    allow_external : bool
        Read timelines that lie in other files than the one that is named.

    Returns
    -------
    Result
        With the maps as NumPy arrays.
    """
    from ._solve import seconds

    group = as_comm(comm)
    with group.agreeing():
        for name, flag in (("resume", resume), ("allow_external", allow_external)):
            if not isinstance(flag, bool):
                raise TypeError(f"{name}={flag!r}: expected True or False")
        for name, given in (("folder", folder), ("checkpoint", checkpoint)):
            _require_path(given, name)
        files = None if tod is None else files_of(tod, "tod")
        if monitor is not None and not callable(monitor):
            raise TypeError(f"monitor={monitor!r}: expected a function of one argument")
        if resume and checkpoint is None:
            raise ValueError("resume=True needs checkpoint=FOLDER, where the state of the earlier run is")
        interval = seconds(every)
    text, path, places = _text(config, group)
    with _named(path, places):
        named = _dolmen.output_folder(group._native, text, path)
    if folder is None:
        folder = named
    if folder is None:
        folder = group.broadcast(tempfile.mkdtemp(prefix="maps-") if group.rank == 0 else None)
    place = os.fspath(folder)
    saved = None
    if checkpoint is not None:
        saved = {"folder": os.fspath(checkpoint), "every": interval, "config": "", "resume": resume}
    job = {
        "text": text,
        "path": path,
        "tod": files,
        "folder": place,
        "allow_external": allow_external,
        "monitor": monitor,
        "checkpoint": saved,
    }
    with _named(path, places):
        found = _dolmen.make_maps(group._native, job)
    native, gls = found["report"], found["gls_report"]
    return Result(
        folder=place,
        files=tuple(os.fspath(file) for file in found["files"]),
        report=None if native is None else report_of(native),
        gls_report=None if gls is None else report_of(gls),
        pixels_solved=found["pixels_solved"],
        pixels_seen=found["pixels_seen"],
        residuals=dict(found["residuals"]),
        units=found["units"],
        summary=found["summary"],
    )


def simulate(
    config: Config,
    output: str | os.PathLike[str],
    sky: str | os.PathLike[str] | None = None,
    comm: Any = None,
) -> tuple[int, str]:
    """Simulate timelines of a satellite, as ``mapmaker simulate`` does. Collective.

    Parameters
    ----------
    config : path or mapping
        Its section ``simulate`` describes scan and noise.
    output : path
        File of timelines to write.
    sky : path, optional
        HEALPix map of I, Q, U to scan; a synthetic sky by default.

    Returns
    -------
    samples : int
    sky : str
        File of the sky that was scanned, beside the timelines.
    """
    group = as_comm(comm)
    with group.agreeing():
        _require_path(sky, "sky")
        target = os.fspath(output)
    text, path, places = _text(config, group)
    with _named(path, places):
        samples, seen = _dolmen.simulate_timelines(group._native, text, path, None if sky is None else os.fspath(sky), target)
    return samples, os.fspath(seen)


@dataclass(frozen=True)
class NoiseFit:
    """White and 1/f noise that was fitted, with standard errors."""

    #: White noise, in the unit of the signal times sqrt(s).
    net: float
    net_error: float
    #: Knee frequency in Hz; 0 without drifts.
    fknee: float
    fknee_error: float
    #: Slope; 0 without drifts.
    alpha: float
    alpha_error: float
    #: Mean square deviation of the spectrum's bins from the fit, in units of what is expected; near 1 for a good fit.
    chi_square: float


@dataclass(frozen=True)
class NoiseInterval:
    """Noise of a detector in an interval."""

    file: str
    observation: str
    #: Number of the interval in the observation.
    interval: int
    first_sample: int
    samples: int
    detector: str
    good_samples: int
    #: None if there are too few good samples.
    fit: NoiseFit | None


@dataclass(frozen=True)
class Noise:
    """Noise of timelines."""

    #: Unit of the signal.
    units: str
    #: Fits to all intervals, by the names of the detectors; None where there are too few good samples.
    detectors: dict[str, NoiseFit | None]
    #: Detectors in intervals.
    intervals: tuple[NoiseInterval, ...]
    #: By detector: ``frequency`` in Hz, ``power`` and ``fit``, two-sided, in the square of the unit times s.
    spectra: dict[str, dict[str, NDArray[np.float64]]] = field(repr=False)
    #: Files that were written.
    files: tuple[str, ...]
    #: The table that the command prints.
    table: str = field(repr=False)


def noise(
    config: Config,
    *,
    tod: Files | None = None,
    sky: str | os.PathLike[str] | bool = True,
    folder: str | os.PathLike[str] | None = None,
    write: str | os.PathLike[str] | None = None,
    plot: str | os.PathLike[str] | None = None,
    comm: Any = None,
    allow_external: bool = False,
) -> Noise:
    """Estimate the noise of each detector and interval, as ``mapmaker noise`` does. Collective.

    Parameters
    ----------
    config : path or mapping
        As that of `run`.
    tod : path or sequence of paths, optional
        The timelines, files or patterns; replaces ``input.tod``.
    sky : path or bool
        A map of the sky; True, the default, for the map of the run in `folder`, which has taken a part of the noise;
        False for timelines that are noise alone.
    folder : path, optional
        Folder of a run; replaces ``output.folder``.
    write : path, optional
        HDF5 file for the table of detectors with their fitted noise, for ``input.noise``, and a table of all intervals.
    plot : path, optional
        PNG picture of the spectra and their fits.
    comm : Comm, optional
        The ranks that share the work; all by default.
    allow_external : bool
        Read timelines that lie in other files than those that are named.

    Returns
    -------
    Noise
    """
    import numpy as np

    group = as_comm(comm)
    with group.agreeing():
        if not isinstance(allow_external, bool):
            raise TypeError(f"allow_external={allow_external!r}: expected True or False")
        for name, given in (("folder", folder), ("write", write), ("plot", plot)):
            _require_path(given, name)
        if not isinstance(sky, (bool, str)) and not hasattr(sky, "__fspath__"):
            raise TypeError(f"sky={sky!r}: expected a path, True or False")
        files = None if tod is None else files_of(tod, "tod")
    text, path, places = _text(config, group)
    job = {
        "text": text,
        "path": path,
        "tod": files,
        "allow_external": allow_external,
        "sky": None if isinstance(sky, bool) else os.fspath(sky),
        "without_sky": sky is False,
        "folder": None if folder is None else os.fspath(folder),
        "write": None if write is None else os.fspath(write),
        "plot": None if plot is None else os.fspath(plot),
    }
    with _named(path, places):
        found, table, written = _dolmen.estimate_noise(group._native, job)
    facts = json.loads(found)

    def fit(values: dict[str, float] | None) -> NoiseFit | None:
        return None if values is None else NoiseFit(**values)

    spectra = {
        detector["name"]: {name: np.array(values, dtype=float) for name, values in detector["spectrum"].items()}
        for detector in facts["detectors"]
    }
    return Noise(
        units=facts["units"],
        detectors={detector["name"]: fit(detector["fit"]) for detector in facts["detectors"]},
        intervals=tuple(NoiseInterval(**{**interval, "fit": fit(interval["fit"])}) for interval in facts["intervals"]),
        spectra=spectra,
        files=tuple(os.fspath(file) for file in written),
        table=table,
    )


def _require_path(given: Any, name: str) -> None:
    if not (given is None or isinstance(given, str) or hasattr(given, "__fspath__")):
        raise TypeError(f"{name}={given!r}: expected a path")


#: Name of the file that a dictionary would be, in the working directory.
_DICTIONARY = "(dictionary)"


def _text(config: Config, comm: Any) -> tuple[str, str, list[str]]:
    """Return a configuration as text, the file relative to whose folder its paths are, and what a dictionary has on each line."""
    if isinstance(config, Mapping):
        with comm.agreeing():
            lines = _toml({"input": {}, **config})
        text = "".join(f"{line}\n" for line, _ in lines)
        comm.require_same(text.encode(), "the configuration")
        return text, os.path.join(os.getcwd(), _DICTIONARY), [place for _, place in lines]
    with comm.agreeing():
        if not isinstance(config, str) and not hasattr(config, "__fspath__"):
            raise TypeError(f"the configuration is a {type(config).__name__}; give a file in TOML, or its sections as a dictionary")
        path = os.fspath(config)
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except UnicodeDecodeError:
            raise make("SettingError", f"{path}: is not a text in UTF-8; give a file in TOML", "Config", None, None) from None
    return text, path, []


@contextmanager
def _named(path: str, places: list[str]) -> Iterator[None]:
    """Name the key of a dictionary in place of the line of the text that was made of it."""
    try:
        yield
    except SettingError as error:
        match = re.match(rf"{re.escape(path)}(?::(\d+))?: ", str(error))
        if match is not None and places:
            place = places[int(match[1]) - 1] if match[1] else ""
            error.args = (f"the configuration{place}: {str(error)[match.end():]}",)
        raise


def _toml(sections: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of sections of numbers, texts and lists in TOML, with the keys that each line is of."""
    lines = []
    for section, content in sections.items():
        # A list of templates is one of sections.
        several = isinstance(content, (list, tuple))
        for number, entries in enumerate(content if several else [content]):
            header, place = f"[{json.dumps(section)}]", f"[{section!r}]"
            lines += _section(f"[{header}]", f"{place}[{number}]", entries) if several else _section(header, place, entries)
    return lines


def _section(header: str, of: str, entries: Any) -> list[tuple[str, str]]:
    """Return the lines of one section; `of` has the keys that lead to it."""
    if not isinstance(entries, Mapping):
        raise TypeError(f"the configuration{of} is {entries!r:.60}; expected a dictionary of settings")
    lines = [(header, of)]
    for key, value in entries.items():
        place = f"{of}[{key!r}]"
        if not isinstance(key, str):
            raise TypeError(f"the configuration{place}: expected the name of a setting as a text")
        if hasattr(value, "__fspath__"):
            value = os.fspath(value)
        if hasattr(value, "item"):
            value = value.item()
        if isinstance(value, Mapping) and value and all(isinstance(name, str) for name in value):
            inner = ", ".join(f"{json.dumps(name)} = {_toml_value(entry, f'{place}[{name!r}]')}" for name, entry in value.items())
            lines.append((f"{json.dumps(key)} = {{ {inner} }}", place))
            continue
        lines.append((f"{json.dumps(key)} = {_toml_value(value, place)}", place))
    return lines


def _toml_value(value: Any, place: str) -> str:
    """Return a number, a text or a list of paths and texts in TOML."""
    if isinstance(value, (list, tuple)):
        value = [os.fspath(entry) if hasattr(entry, "__fspath__") else entry for entry in value]
    if not isinstance(value, (bool, int, float, str, list)) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"the configuration{place} is {value!r:.60}; expected a finite number, a text or a list")
    # What JSON writes of these is TOML too.
    return json.dumps(value)
