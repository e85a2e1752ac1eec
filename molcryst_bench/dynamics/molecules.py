"""Where a run starts: a molecule by its name, a SMILES string or a file."""

from __future__ import annotations

from ase import Atoms

from molcryst_bench.base.errors import SourceError, unknown_name
from molcryst_bench.sources.inputs import find_inputs
from molcryst_bench.sources.xtb import starting_molecules


def structure_of(text: str) -> Atoms:
    """Return the structure that a text stands for, at rest; equal texts give equal ones.

    Args:
        text: one of ``known_molecules()``, at a minimum of GFN2-xTB; the name of a file of any
            format that ASE reads, with one structure in it; or a SMILES string, whose geometry is
            that of MMFF94 (see ``sources/smiles.py``).

    Raises:
        SourceError: if it is none of these, or a file holds more than one structure.
    """
    known = known_molecules()
    if text in known:
        return known[text].copy()
    try:
        inputs = find_inputs(text)
    except SourceError as error:
        raise SourceError(f"{error}; {unknown_name('molecule', text, known)}") from None
    frames = [frame for each in inputs for frame in each.frames()]
    if len(frames) != 1:
        problem = f"{text} holds {len(frames):,} structures, and a run starts from one"
        raise SourceError(f"{problem}: give a file with that one alone")
    return frames[0].atoms


def known_molecules() -> dict[str, Atoms]:
    """Return the molecules of the dataset ``xtb`` by name."""
    return {each.name: Atoms(each.symbols, each.positions) for each in starting_molecules()}
