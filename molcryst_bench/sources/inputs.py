"""What a user gives to predict for: files, folders, patterns and SMILES strings."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import ase.io
from ase import Atoms

from molcryst_bench.base.errors import SourceError
from molcryst_bench.base.files import visible_files
from molcryst_bench.sources.folder import is_structure_file
from molcryst_bench.sources.record import BadRecordError
from molcryst_bench.sources.smiles import embed_smiles, is_smiles
from molcryst_bench.sources.structures import read_cif

FROM_FILE = "file"
_SMILES_SUFFIXES = (".smi", ".smiles")


class Frame(NamedTuple):
    """One structure and where it came from."""

    source: str  # the file, the line of a file of SMILES strings, or such a string
    number: int  # of the structure in its file
    atoms: Atoms
    geometry: str  # "file", or the force field


class StructureFile(NamedTuple):
    """A file of any format that ASE reads, or a CIF."""

    path: Path

    def frames(self) -> Iterator[Frame]:
        """Read all structures.

        Raises:
            SourceError: naming the file, if it or a part of it cannot be read.
        """
        try:
            for number, atoms in enumerate(_structures(self.path)):
                yield Frame(str(self.path), number, _plain(atoms), FROM_FILE)
        except Exception as error:  # ASE's readers raise whatever comes their way
            kind = "" if isinstance(error, BadRecordError) else f"{type(error).__name__}: "
            message = f"{self.path} cannot be read as a structure: {kind}{error}"
            raise SourceError(message) from error


class SmilesString(NamedTuple):
    """A molecule without a geometry."""

    text: str
    source: str

    def frames(self) -> Iterator[Frame]:
        """Make a geometry.

        Raises:
            SourceError: if there is none.
        """
        try:
            atoms, geometry = embed_smiles(self.text)
        except BadRecordError as error:
            raise SourceError(f"{self.source} {error}") from error
        yield Frame(self.source, 0, atoms, geometry)


Input = StructureFile | SmilesString


def find_inputs(word: str) -> list[Input]:
    """Return what a word on the command line stands for.

    Args:
        word: a file, a folder, a pattern such as ``runs/**/*.cif``, or a SMILES string. Of a
            folder, the files count whose names say that they hold structures.

    Raises:
        SourceError: if it is none of these, or there is nothing in it.
    """
    path = Path(word)
    if path.is_dir():
        return _of_folder(path)
    if path.exists():
        return _of_file(path)
    if matches := sorted(glob.glob(word, recursive=True)):  # noqa: PTH207
        files = [Path(match) for match in matches if Path(match).is_file()]
        return [each for file in files for each in _of_file(file)]
    if is_smiles(word):
        return [SmilesString(word, word)]
    raise SourceError(f"'{word}' is no file or folder, matches none, and is no SMILES string")


def _of_folder(folder: Path) -> list[Input]:
    wanted = [f for f in visible_files(folder) if is_structure_file(f) or _holds_smiles(f)]
    if not wanted:
        raise SourceError(f"{folder} holds no structure file, by the names of what is in it")
    return [each for file in wanted for each in _of_file(file)]


def _of_file(path: Path) -> list[Input]:
    """Return a file, or the lines of a file of SMILES strings: one, a space, and any name."""
    if not _holds_smiles(path):
        return [StructureFile(path)]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read as SMILES strings: {error}") from error
    return [
        SmilesString(line.split()[0], f"{path}:{number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def _holds_smiles(path: Path) -> bool:
    return path.suffix.lower() in _SMILES_SUFFIXES


def _structures(path: Path) -> Iterator[Atoms]:
    if path.suffix.lower() == ".cif":
        yield read_cif(path.read_text(encoding="utf-8"))
    else:
        yield from ase.io.iread(path, index=":", do_not_split_by_at_sign=True)


def _plain(atoms: Atoms) -> Atoms:
    """Return the structure with what its file tells of it in ``info``, without calculators.

    Raises:
        BadRecordError: if it has no atoms, or one of an unknown element.
    """
    if len(atoms) == 0 or not atoms.numbers.all():
        raise BadRecordError("has no atoms, or one of an unknown element")
    return Atoms(
        atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=dict(atoms.info)
    )
