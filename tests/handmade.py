"""QM9 made by hand: small molecules in the exact formats of the wheel and of the first release.

Every number is kept as the decimal text it has in the files, so that both formats hold the same
values and a test can compare what was read with what was written.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
from ase.build import molecule
from ase.data.g2 import molecule_names

from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.fetch import RawFile
from molcryst_bench.sources.qm9 import Qm9Figshare, Qm9Wheel
from molcryst_bench.sources.record import Dataset

REPOSITORY = Path(__file__).parent.parent
WHEEL_NAME = "qm9pack-1.0.3-py3-none-any.whl"
ARCHIVE_NAME = "dsgdb9nsd.xyz.tar.bz2"
FAILURES_NAME = "uncharacterized.txt"
MEMBERS = tuple(f"qm9pack/data/qm9_part{part}.csv" for part in (1, 2, 3))

HEADER = (
    "XYZ_file,Index,SMILES,InChi,N_atoms,Stoichiometry,Elements,XYZ_Ang,Mulliken_pop,"
    "Harmonic_Freq_cmi,RotA_GHz,RotB_GHz,RotC_GHz,Dipole_debye,Polarizability_bohr3,HOMO_au,"
    "LUMO_au,HOMO_LUMO_gap_au,R2_bohr2,ZPVE_au,InternalEnergy_0K_au,InternalEnergy_298K_au,"
    "Enthalphy_298K_au,GibbsFreeEnergy_298K_au,Heatcapacity_Cv_cal_mol_K"
)
PROPERTIES = tuple(HEADER.split(",")[10:])
# Energies of free atoms in hartree, so that total energies are of the right size.
_FREE_ATOM = {"H": -0.5, "C": -37.85, "N": -54.58, "O": -75.06, "F": -99.72}


@dataclass(frozen=True)
class Molecule:
    """One molecule with all its numbers as text."""

    index: int
    symbols: tuple[str, ...]
    positions: tuple[tuple[str, str, str], ...]  # Å
    charges: tuple[str, ...]  # e
    properties: dict[str, str]  # in the raw units

    @property
    def id(self) -> str:
        return f"dsgdb9nsd_{self.index:06d}"

    def moved(self, row: int, column: int, text: str) -> Molecule:
        """Return this molecule with one coordinate replaced by ``text``."""
        table = [list(position) for position in self.positions]
        table[row][column] = text
        return replace(self, positions=tuple((x, y, z) for x, y, z in table))

    def numbered(self, index: int) -> Molecule:
        return replace(self, index=index)

    def csv_row(self) -> str:
        elements = "[" + ",".join(f"'{symbol}'" for symbol in self.symbols) + "]"
        positions = "[" + ",".join(f"[{','.join(row)}]" for row in self.positions) + "]"
        charges, numbers = ",".join(self.charges), ",".join(self.properties.values())
        return (
            f'"{self.id}.xyz",{self.index},"C","InChI=1S/C",{len(self.symbols)},"[0,0,0,0,0]",'
            f'"{elements}","{positions}","[{charges}]","[1.5,2.5]",{numbers}'
        )

    def xyz(self) -> str:
        head = f"{len(self.symbols)}\ngdb {self.index}\t"
        numbers = "\t".join(map(_mathematica, self.properties.values()))
        rows = [
            f"{symbol}\t" + "\t ".join(map(_mathematica, (*position, charge)))
            for symbol, position, charge in zip(
                self.symbols, self.positions, self.charges, strict=True
            )
        ]
        return "\n".join([f"{head}{numbers}\t", *rows, "1.5\t2.5", "C\tC\t", "InChI\tInChI", ""])


def make_molecules(count: int, seed: int = 0) -> list[Molecule]:
    """Return molecules of 2 to 14 atoms of H, C, N, O and F, no two of the same shape.

    Their properties follow from composition and shape, with a little noise, so that a model can
    learn them.
    """
    known = [name for name in molecule_names if set(molecule(name).symbols) <= set(_FREE_ATOM)]
    generator = np.random.default_rng(seed)
    names = [known[number % len(known)] for number in generator.permutation(count)]
    return [_make(index, name, generator) for index, name in enumerate(names, start=1)]


def _make(index: int, name: str, generator: np.random.Generator) -> Molecule:
    atoms = molecule(name)
    atoms.rattle(0.02, rng=generator)
    heavy, hydrogens = (atoms.numbers > 1).sum(), (atoms.numbers == 1).sum()
    spread = float(((atoms.positions - atoms.positions.mean(axis=0)) ** 2).sum())
    energy = sum(_FREE_ATOM[symbol] for symbol in atoms.symbols) - 0.1 * len(atoms)
    homo = -0.25 - 0.01 * (atoms.numbers == 8).sum() + 0.002 * generator.normal()
    lumo = 0.05 - 0.005 * heavy + 0.002 * generator.normal()
    values = [
        *(100 / (1 + spread) * factor for factor in (1.0, 0.8, 0.6)),
        *(abs(generator.normal()) * 1e-6, 4.0 * heavy + 1.5 * hydrogens, homo, lumo, lumo - homo),
        *(3.57 * spread, 0.005 * heavy + 0.01 * hydrogens, energy, energy + 0.003, energy + 0.004),
        *(energy - 0.02, 1.5 + 0.8 * len(atoms)),
    ]
    charges = generator.normal(scale=0.2, size=len(atoms))
    return Molecule(
        index=index,
        symbols=tuple(atoms.symbols),
        positions=tuple((_text(x, 10), _text(y, 10), _text(z, 10)) for x, y, z in atoms.positions),
        charges=tuple(_text(charge, 6) for charge in charges),
        properties={n: _text(v, 9) for n, v in zip(PROPERTIES, values, strict=True)},
    )


def write_wheel(path: Path, molecules: Sequence[Molecule], header: str = HEADER) -> Path:
    """Write molecules as the wheel has them: three CSV members, in the order given."""
    return write_wheel_rows(path, [molecule.csv_row() for molecule in molecules], header)


def write_wheel_rows(path: Path, rows: Sequence[str], header: str = HEADER) -> Path:
    """Write CSV rows into the three members of a wheel."""
    return write_zip(path, wheel_members(rows, header))


def wheel_members(rows: Sequence[str], header: str = HEADER) -> dict[str, bytes]:
    """Return the three CSV files of a wheel with a third of the rows each."""
    third = -(-len(rows) // 3)
    contents = [[header, *rows[start : start + third]] for start in (0, third, 2 * third)]
    texts = ["\n".join(lines) + "\n" for lines in contents]
    return dict(zip(MEMBERS, (text.encode() for text in texts), strict=True))


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
    return path


def write_archive(path: Path, molecules: Iterable[Molecule]) -> Path:
    """Write molecules as the original release has them: one xyz file each, in a tar.bz2."""
    return write_tar(path, [(f"{m.id}.xyz", m.xyz().encode()) for m in molecules])


def write_tar(path: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:bz2") as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def write_failures(path: Path, indices: Iterable[int]) -> Path:
    """Write the list of molecules that failed the consistency check, with its head and foot."""
    head = ["Molecules that failed the check", "=" * 30, "", "  Index   SMILES", "-" * 30]
    rows = [f"{index:8d}   C#N   C=N" for index in indices]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*head, *rows, "-" * 30, ""]))
    return path


def raw_file(path: Path, addresses: tuple[str, ...] = ()) -> RawFile:
    """Describe a file that was made here, with the checksum and size that it has."""
    content = path.read_bytes()
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return RawFile(path.name, checksum, len(content), addresses)


def conversions() -> dict[str, tuple[str, float]]:
    """Return raw column and factor of every target on the card of the current project."""
    targets = load_card("qm9").targets
    return {n: (t.raw.column, t.raw.factor) for n, t in targets.items() if t.raw}


def wheel_source(wheel: Path) -> Qm9Wheel:
    return Qm9Wheel(conversions(), files=(raw_file(wheel),))


def figshare_source(archive: Path, failures: Path) -> Qm9Figshare:
    return Qm9Figshare(conversions(), files=(raw_file(archive), raw_file(failures)))


def tiny_dataset(folder: Path) -> Dataset:
    """Return the importer of QM9 for the hand-made files in ``folder``."""
    figshare = figshare_source(folder / ARCHIVE_NAME, folder / FAILURES_NAME)
    return Dataset("qm9", (wheel_source(folder / WHEEL_NAME), figshare))


def _text(value: float, digits: int) -> str:
    """Write a number in plain decimals, as the wheel does."""
    return format(Decimal(f"{value:.{digits}f}"), "f")


def _mathematica(text: str) -> str:
    """Write small numbers with the exponents of the original release: 1.5*^-6."""
    try:
        number = Decimal(text)
    except ArithmeticError:
        return text
    if not number or abs(number) >= Decimal("0.0001"):
        return text
    return f"{number:e}".replace("e", "*^")
