"""Errors that are meant to be read by the person at the terminal."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MolcrystError(Exception):
    """What was wrong, in which file or record, and what to do about it.

    The command line prints the message alone and exits with status 1; a traceback means a bug.
    """


class SettingsError(MolcrystError):
    """A wrong key, type or value in a settings file or on the command line."""


class SourceError(MolcrystError):
    """A raw file that cannot be had, or is not what it should be."""


class UnreachableError(SourceError):
    """A raw file that none of its addresses gives; another form of the dataset may be had."""


class StoreError(MolcrystError):
    """A graph store or split that cannot be written, read or trusted."""


class RunError(MolcrystError):
    """A training or benchmark run that cannot go on."""


class StoppedError(RunError):
    """Work that was told to stop and has kept a checkpoint, from which it goes on."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that ``name`` is no ``kind``, and which known name was probably meant."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"
    return f"unknown {kind} '{name}'; {hint}"
