"""Dolmen: distributed linear algebra over MPI."""

from ._dolmen import __version__

__all__ = ["__version__"]
