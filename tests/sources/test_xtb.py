"""GFN2-xTB dynamics made here: the same bytes always, right physics, clear refusals."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.vibrations import Vibrations
from click.testing import CliRunner
from handmade import REPOSITORY
from threadpoolctl import threadpool_limits

from molcryst_bench.base.errors import RunError, SettingsError, SourceError
from molcryst_bench.base.executors import InlineExecutor, local_executor
from molcryst_bench.cli.data import data
from molcryst_bench.graphs.build import BuildRequest, DatasetSettings, build_store
from molcryst_bench.graphs.draw import draw_split
from molcryst_bench.graphs.split import SUBSETS, group_of
from molcryst_bench.graphs.store import open_store
from molcryst_bench.sources import registry
from molcryst_bench.sources.card import load_card
from molcryst_bench.sources.making import Generation, Making
from molcryst_bench.sources.record import Dataset
from molcryst_bench.sources.registry import obtain
from molcryst_bench.sources.simulate import RECIPE, Molecule, Recipe, simulate, starting_atoms
from molcryst_bench.sources.xtb import Simulation, starting_molecules

MOLECULES = {molecule.name: molecule for molecule in starting_molecules()}
ETHANOL, URACIL = MOLECULES["ethanol"], MOLECULES["uracil"]
SHORT = Recipe(frames=3, interval=4, equilibration=6)
IDS = [
    f"ethanol/{trajectory * 1_000_000 + step:010d}" for trajectory in (0, 1) for step in (4, 8, 12)
]
HARTREE_PER_BOHR = 51.422067  # in eV/Å


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that has the card of xtb."""
    root = tmp_path / "project"
    (root / "datasets" / "xtb").mkdir(parents=True)
    shutil.copy(REPOSITORY / "datasets" / "xtb" / "card.yaml", root / "datasets" / "xtb")
    (root / "params.yaml").write_text("")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def raw(project: Path) -> Path:
    return project / "datasets" / "xtb" / "raw"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Two threads for so small a molecule only wait for each other, where others want the cores."""
    with threadpool_limits(1):
        yield


def tiny(*molecules: Molecule, recipe: Recipe = SHORT) -> Dataset:
    return Dataset("xtb", (Simulation(molecules or (ETHANOL,), recipe),))


def make(
    folder: Path, trajectories: int = 2, workers: int = 1, **options: object
) -> dict[str, Path]:
    with local_executor(workers) as executor:
        making = Making(Generation(trajectories=trajectories), executor)
        return obtain(tiny(**options), folder, making=making).paths


def contents(paths: dict[str, Path]) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in paths.items()}


def test_two_workers_make_the_same_bytes_as_one(tmp_path: Path) -> None:
    alone = contents(make(tmp_path / "one"))
    assert list(alone) == ["ethanol_0000.npz", "ethanol_0001.npz"]
    assert contents(make(tmp_path / "two", workers=2)) == alone
    assert alone["ethanol_0000.npz"] != alone["ethanol_0001.npz"]


def test_more_trajectories_leave_the_first_as_they_are(tmp_path: Path) -> None:
    few = contents(make(tmp_path, trajectories=1))
    written = (tmp_path / "ethanol_0000.npz").stat().st_mtime_ns
    more = make(tmp_path, trajectories=2)
    assert contents(more)["ethanol_0000.npz"] == few["ethanol_0000.npz"]
    assert (tmp_path / "ethanol_0000.npz").stat().st_mtime_ns == written
    assert list(make(tmp_path, trajectories=1)) == ["ethanol_0000.npz"]


def test_a_killed_run_goes_on_to_the_same_bytes(project: Path, tmp_path: Path) -> None:
    recipe = replace(SHORT, interval=150)
    script = (
        "from pathlib import Path\n"
        "from molcryst_bench.sources.making import Generation, Making\n"
        "from molcryst_bench.sources.simulate import Recipe\n"
        "from molcryst_bench.sources.xtb import Simulation, starting_molecules\n"
        f"Simulation(starting_molecules()[:1], {recipe!r}).make("
        f"Path('killed'), Making(Generation(trajectories=4)))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    first = project / "killed" / "ethanol_0000.npz"
    deadline = time.monotonic() + 120
    while not first.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    there = {path.name: path.stat().st_mtime_ns for path in first.parent.glob("*.npz")}
    assert 0 < len(there) < 4, "killed too early or too late to tell"
    resumed = make(first.parent, trajectories=4, recipe=recipe)
    assert contents(resumed) == contents(make(tmp_path / "at once", 4, recipe=recipe))
    assert {name: resumed[name].stat().st_mtime_ns for name in there} == there


def test_a_trajectory_made_in_another_way_is_made_again(tmp_path: Path) -> None:
    before = contents(make(tmp_path))
    colder = replace(SHORT, temperature=300.0)
    assert contents(make(tmp_path, recipe=colder)) != before
    assert contents(make(tmp_path)) == before


def test_progress_is_told_as_trajectories_of_all(tmp_path: Path) -> None:
    make(tmp_path, trajectories=1)
    told: list[tuple[int, int]] = []
    making = Making(Generation(trajectories=3), InlineExecutor(), lambda *done: told.append(done))
    obtain(tiny(), tmp_path, making=making)
    assert told == [(2, 3), (3, 3)]


@pytest.mark.parametrize("name", MOLECULES)
def test_the_starts_are_minima_of_the_right_molecules(name: str) -> None:
    formula, bonds = {
        "ethanol": ("C2H6O", 8),
        "isopropanol": ("C3H8O", 11),
        "n-propanol": ("C3H8O", 11),
        "naphthalene": ("C10H8", 19),
        "pyrimidine": ("C4H4N2", 10),
        "uracil": ("C4H4N2O2", 12),
    }[name]
    atoms = starting_atoms(MOLECULES[name], RECIPE)
    assert atoms.get_chemical_formula() == formula
    distances = atoms.get_all_distances()[np.triu_indices(len(atoms), 1)]
    assert (distances < 1.65).sum() - _close_hydrogens(atoms) == bonds
    assert np.abs(atoms.get_forces()).max() < 0.001


def _close_hydrogens(atoms: object) -> int:
    """Count pairs of hydrogen atoms that look like bonds by their distance alone."""
    hydrogens = atoms[[atom.index for atom in atoms if atom.symbol == "H"]]
    distances = hydrogens.get_all_distances()[np.triu_indices(len(hydrogens), 1)]
    return int((distances < 1.65).sum())


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", MOLECULES)
def test_the_starts_vibrate_and_do_not_fall_apart(name: str, tmp_path: Path) -> None:
    vibrations = Vibrations(starting_atoms(MOLECULES[name], RECIPE), name=str(tmp_path / "v"))
    vibrations.run()
    wavenumbers = vibrations.get_frequencies()[6:]  # 1/cm, without translation and rotation
    assert np.abs(wavenumbers.imag).max() == 0
    assert wavenumbers.real.min() > 80
    assert 3000 < wavenumbers.real.max() < 3700


def test_the_alcohols_have_their_oxygen_in_the_right_place() -> None:
    for name, carbons in {"n-propanol": 1, "isopropanol": 2}.items():
        atoms = starting_atoms(MOLECULES[name], RECIPE)
        oxygen = atoms.symbols.search("O")[0]
        carbon = next(c for c in atoms.symbols.search("C") if atoms.get_distance(c, oxygen) < 1.6)
        others = [c for c in atoms.symbols.search("C") if c != carbon]
        assert sum(atoms.get_distance(c, carbon) < 1.7 for c in others) == carbons


@pytest.mark.usefixtures("one_thread")
def test_labels_are_those_of_their_geometry_in_ev_and_angstrom(raw: Path) -> None:
    from tblite.interface import Calculator

    obtained = obtain(tiny(), raw, making=Making(Generation(trajectories=2)))
    records = [obtained.source.parse(r) for r in obtained.source.raw_records(obtained.paths)]
    assert [record.id for record in records] == IDS
    for record in records:
        positions = record.atoms.positions / units.Bohr
        calculator = Calculator("GFN2-xTB", record.atoms.numbers, positions)
        calculator.set("verbosity", 0)
        calculator.set("accuracy", 0.001)
        result = calculator.singlepoint()
        energy, gradient = result.get("energy"), result.get("gradient")
        assert record.targets["energy"] == pytest.approx(energy * 27.211386, abs=1e-5)
        assert record.targets["forces"] == pytest.approx(-gradient * HARTREE_PER_BOHR, abs=2e-5)


@pytest.mark.usefixtures("one_thread")
def test_forces_are_central_differences_of_the_energy() -> None:
    trajectory = simulate(ETHANOL, 0, SHORT)
    atoms = starting_atoms(ETHANOL, RECIPE)
    width = 1e-3  # Å
    for atom in range(len(atoms)):
        for axis in range(3):
            energies = []
            for sign in (1, -1):
                atoms.positions = trajectory.positions[-1]
                atoms.positions[atom, axis] += sign * width
                energies.append(atoms.get_potential_energy())
            slope = (energies[0] - energies[1]) / (2 * width)
            assert trajectory.forces[-1, atom, axis] == pytest.approx(-slope, abs=2e-4)


def test_the_centre_of_mass_stays_and_the_stored_forces_are_not_constrained() -> None:
    trajectory = simulate(ETHANOL, 0, replace(SHORT, interval=50))
    masses = starting_atoms(ETHANOL, RECIPE).get_masses()
    centres = np.einsum("a,fax->fx", masses, trajectory.positions) / masses.sum()
    assert np.ptp(centres, axis=0) == pytest.approx(0, abs=1e-9)
    assert np.ptp(trajectory.energy) > 0.01
    assert trajectory.steps.tolist() == [50, 100, 150]


@pytest.mark.slow
def test_the_mean_temperature_is_500_kelvin(monkeypatch: pytest.MonkeyPatch) -> None:
    from ase.md.langevin import Langevin

    from molcryst_bench.sources import simulate as module

    temperatures: list[float] = []

    class Watched(Langevin):
        def step(self, *arguments: object, **keywords: object) -> object:
            forces = super().step(*arguments, **keywords)
            temperatures.append(self.atoms.get_temperature())
            return forces

    monkeypatch.setattr(module, "Langevin", Watched)
    simulate(ETHANOL, 0, replace(RECIPE, frames=200))
    kept = np.array(temperatures[RECIPE.equilibration :])
    assert len(kept) == 20_000
    # 24 degrees of freedom fluctuate by 144 K; 10 ps have some 500 independent values: 6.5 K.
    assert kept.mean() == pytest.approx(500, abs=26)
    assert kept.std() == pytest.approx(500 * np.sqrt(2 / 24), rel=0.2)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"iterations": 1}, "step 0: SCF not converged"),
        ({"time_step": 8.0}, r"step \d+: the molecule explodes, at [\d,]+ K"),
        ({"longest_bond": 1.02}, r"step \d+: the bond [CHO]\d-[CHO]\d is 1.\d\d times as long"),
    ],
)
def test_bad_dynamics_stop_with_molecule_trajectory_and_step(
    change: dict[str, float], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=f"ethanol, trajectory 0, {complaint}"):
        make(tmp_path, recipe=replace(SHORT, **change))
    assert not list(tmp_path.glob("*.npz*"))


def test_bad_dynamics_of_a_worker_are_reported(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"ethanol, trajectory [01], step 0: SCF not converged"):
        make(tmp_path, workers=2, recipe=replace(SHORT, iterations=1))


def _truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flipped(content: bytes) -> bytes:
    middle = content.index(b"positions.npy") + 400
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _with(**arrays: np.ndarray) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        file = io.BytesIO()
        np.savez(file, **{**np.load(io.BytesIO(content)), **arrays})
        return file.getvalue()

    return change


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_truncated, "is not a complete npz file"),
        (_flipped, "is not a complete npz file"),
        (lambda _: b"", "is not a complete npz file"),
        (_with(forces=np.zeros((3, 8, 3))), r"forces is float64 \(3, 8, 3\), not f8 \(3, 9, 3\)"),
        (_with(energy=np.zeros(3, "f4")), r"energy is float32 \(3,\), not f8"),
        (_with(energy=np.array([print], object)), "holds Python objects"),
    ],
)
def test_a_damaged_file_is_refused(
    damage: Callable[[bytes], bytes], complaint: str, raw: Path
) -> None:
    paths = make(raw, trajectories=1)
    path = paths["ethanol_0000.npz"]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError, match=complaint) as refusal:
        list(tiny().sources[0].raw_records(make(raw, trajectories=1)))
    assert "ethanol_0000.npz" in str(refusal.value)
    assert "delete it and run again" in str(refusal.value)


def test_the_store_has_all_frames_and_the_split_goes_by_time(raw: Path, project: Path) -> None:
    obtained = obtain(tiny(ETHANOL, URACIL), raw, making=Making(Generation(trajectories=4)))
    settings = DatasetSettings(generate=Generation(trajectories=4))
    card = load_card("xtb")
    request = BuildRequest(card, obtained.source, obtained.paths, settings)
    build_store(request, project / "store.zarr", InlineExecutor())
    store = open_store(project / "store.zarr")
    assert len(store) == 24
    assert len(store.attributes["provenance"]["raw_sha256"]) == 8
    assert {group_of(name) for name in store.ids.tolist()} == {"ethanol", "uracil"}
    split = draw_split("time_block", card.splits["time_block"], store.ids.tolist(), {})
    for group in ("ethanol", "uracil"):
        times = [
            [int(i.split("/")[1]) for i in split.of_group(group).ids[split.of_group(group).rows(s)]]
            for s in SUBSETS
        ]
        assert all(times)
        assert max(times[0]) < min(times[1]) <= max(times[1]) < min(times[2])


def test_the_command_line_makes_builds_splits_and_verifies(
    project: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._IMPORTERS, "xtb", tiny)
    text = (REPOSITORY / "conf" / "quick.yaml").read_text()
    changed = text.replace("{trajectories: 2}", "{trajectories: 4}")
    assert changed != text
    (project / "params.yaml").write_text(changed)
    monkeypatch.setenv("MOLCRYST_MIRROR", os.devnull)
    for words in ("fetch xtb --workers 1", "build xtb --workers 1", "split xtb", "verify xtb"):
        result = CliRunner().invoke(data, words.split(), catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert len(list(raw.glob("*.npz"))) == 4
    store = open_store(project / "datasets" / "xtb" / "store.zarr")
    assert len(store) == 12
    assert len(store.split("time_block").rows("train")) > 0


def test_generate_is_refused_for_a_dataset_that_is_fetched(project: Path) -> None:
    (project / "datasets" / "qm9").mkdir()
    shutil.copy(REPOSITORY / "datasets" / "qm9" / "card.yaml", project / "datasets" / "qm9")
    text = (REPOSITORY / "conf" / "quick.yaml").read_text()
    changed = text.replace("  qm9:\n", "  qm9:\n    generate: {trajectories: 4}\n", 1)
    (project / "params.yaml").write_text(changed)
    result = CliRunner().invoke(data, ["build", "qm9"])
    assert isinstance(result.exception, SettingsError)
    assert "'generate' is for datasets that are made here" in str(result.exception)
