"""The options of a run and their checks."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, TypedDict, Union

ExecutorChoice = Union[None, str, Executor, Callable[[], Executor]]
"""Executor of a run: None, a name, an executor, or a function that makes one."""

EXECUTORS = ("serial", "processes", "mpi")

if TYPE_CHECKING:

    class Options(TypedDict, total=False):
        """Keyword options that all functions of `dolmen.farm` share; `dolmen.farm.map` describes them."""

        executor: ExecutorChoice
        processes: Optional[int]
        journal: Union[None, str, os.PathLike[str]]
        key: Optional[Callable[[Any], Any]]
        name: Optional[str]
        retries: int
        timeout: Optional[float]
        errors: str
        progress: bool
        window: Optional[int]
        chunksize: Union[int, str]
        seed: Optional[int]


@dataclass(frozen=True)
class Settings:
    """The checked options of a run."""

    executor: ExecutorChoice = None
    processes: Optional[int] = None
    journal: Union[None, str, os.PathLike[str]] = None
    key: Optional[Callable[[Any], Any]] = None
    name: Optional[str] = None
    retries: int = 1
    timeout: Optional[float] = None
    errors: str = "report"
    progress: bool = True
    window: Optional[int] = None
    chunksize: Union[int, str] = "auto"
    seed: Optional[int] = None

    def __post_init__(self) -> None:
        _check_executor(self.executor)
        _check_count("processes", self.processes, 1)
        _check_count("window", self.window, 1)
        _check_count("retries", self.retries, 0)
        _check_count("seed", self.seed, 0)
        if self.chunksize != "auto":
            _check_count("chunksize", self.chunksize, 1, 'or "auto"')
        if self.timeout is not None and not 0 < self.timeout < float("inf"):
            raise ValueError(f"timeout={self.timeout!r} is not a positive number of seconds; give None for no limit")
        if self.errors not in ("report", "raise"):
            raise ValueError(f'errors={self.errors!r} is neither "report" nor "raise"')


def _check_executor(executor: ExecutorChoice) -> None:
    if isinstance(executor, str):
        if executor not in EXECUTORS:
            names = ", ".join(EXECUTORS)
            raise ValueError(f"executor={executor!r} is not one of {names}; give one, an executor, or a function that makes one")
    elif executor is not None and not hasattr(executor, "submit") and not callable(executor):
        raise TypeError(f"executor has type {type(executor).__name__}; give an executor, a function that makes one, or a name")


def _check_count(name: str, value: Any, least: int, otherwise: str = "") -> None:
    if value is None:
        return
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise ValueError(f"{name}={value!r} is not an integer of at least {least}" + (f" {otherwise}" if otherwise else ""))
