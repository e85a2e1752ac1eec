"""``molcryst md``: molecular dynamics with a trained model."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from molcryst_bench.cli.console import Bars, console, progress_bar

if TYPE_CHECKING:
    from molcryst_bench.dynamics.run import Progress
    from molcryst_bench.dynamics.settings import RunSettings
    from molcryst_bench.dynamics.trajectory import Trajectory
    from molcryst_bench.training.force_field import LearnedForceField
    from molcryst_bench.training.predict import Predictor

_LINE_SECONDS = 10.0  # between two lines of a log


@click.command()
@click.argument("cell", type=click.Path(path_type=Path))
@click.argument("structures", nargs=-1, required=True)
@click.option("--steps", type=int, default=100_000, show_default=True)
@click.option("--time-step", type=float, default=0.1, show_default=True, help="In fs.")
@click.option(
    "--temperature",
    type=float,
    default=500.0,
    show_default=True,
    help="In K, of the start and of the thermostat.",
)
@click.option(
    "--replicas", type=int, default=1, show_default=True, help="That differ in their velocities."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--thermostat", type=click.Choice(["none", "langevin"]), default="none", show_default=True
)
@click.option(
    "--friction", type=float, default=0.01, show_default=True, help="Of the thermostat, in 1/fs."
)
@click.option(
    "--equilibration",
    type=int,
    default=0,
    show_default=True,
    help="Steps with the thermostat before the first frame.",
)
@click.option("--every", type=int, default=10, show_default=True, help="Steps between two frames.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/md"), show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--precision", type=click.Choice(["float32", "float64"]), default="float32", show_default=True
)
@click.option(
    "--compile", "compiled", is_flag=True, help="Compile first: pays for long runs of one replica."
)
def md(
    cell: Path,
    structures: tuple[str, ...],
    out: Path,
    device: str,
    precision: Literal["float32", "float64"],
    compiled: bool,
    **settings: Any,
) -> None:
    """Run the dynamics of STRUCTURES with the model in the folder CELL, or with all seeds in it.

    A structure is a file of any format that ASE reads, a SMILES string, or the name of a molecule
    of the dataset xtb. Each has a folder of its own; interrupt or kill a run at any time, and the
    same command goes on.
    """
    from molcryst_bench.dynamics.settings import RunSettings
    from molcryst_bench.training.predict import load_predictor

    chosen = RunSettings.parse(settings, "options")
    predictor = load_predictor(cell, device)
    field = predictor.force_field(precision=precision, compile=compiled)
    for word in structures:
        _run(word, out / predictor.card.task / predictor.card.model, predictor, field, chosen)


def _run(
    word: str, out: Path, predictor: Predictor, field: LearnedForceField, settings: RunSettings
) -> None:
    import warnings

    from molcryst_bench.base.stopping import armed
    from molcryst_bench.cli.console import shown
    from molcryst_bench.dynamics.molecules import structure_of
    from molcryst_bench.dynamics.run import run_dynamics
    from molcryst_bench.dynamics.trajectory import read_trajectory

    structure = structure_of(word)
    _check_elements(word, structure.numbers.tolist(), predictor)
    folder = out / _name_of(word)
    click.echo(f"{word}: {_in_words(settings)}, in {shown(folder)}")
    with warnings.catch_warnings(action="ignore"), armed(), _Bar(word, settings) as bar:
        field.start(structure)  # also where there is nothing left to do
        run_dynamics(folder, structure, field, settings, bar.show)
    for line in field.extrapolation.lines():
        click.secho(f"Warning: {line}; do not trust what follows from it", err=True, fg="yellow")
    _tell(word, read_trajectory(folder))


def _check_elements(word: str, numbers: list[int], predictor: Predictor) -> None:
    """Refuse elements whose embedding nobody has trained.

    Raises:
        RunError: if there are any.
    """
    from ase.data import chemical_symbols

    from molcryst_bench.base.errors import RunError

    if unknown := sorted(set(numbers) - set(predictor.card.elements)):
        names = ", ".join(chemical_symbols[number] for number in unknown)
        known = ", ".join(chemical_symbols[number] for number in predictor.card.elements)
        problem = f"{word} has {names}, and this {predictor.card.model} has only seen {known}"
        raise RunError(f"{problem}: choose a model that was trained on a molecule with these")


def _name_of(word: str) -> str:
    """Return a name for the folder of a run: of files their stem, of others the word itself."""
    stem = Path(word).stem if Path(word).exists() else word
    return "".join(letter if letter.isalnum() or letter in "-_=#()[]+" else "_" for letter in stem)


def _in_words(settings: RunSettings) -> str:
    length = settings.steps * settings.time_step / 1000
    kind = "NVT" if settings.thermostat == "langevin" else "NVE"
    many = f"{settings.replicas:,} replica{'s' * (settings.replicas > 1)}"
    return f"{kind}, {length:g} ps in steps of {settings.time_step:g} fs, {many}"


class _Bar(Bars):
    """Shows steps, their rate, temperature and energy drift: a bar in a terminal, else lines."""

    def __init__(self, name: str, settings: RunSettings) -> None:
        self.name, self.settings = name, settings
        self.progress = progress_bar("steps{task.fields[facts]}")
        self.total = settings.steps + settings.equilibration
        self.bar = self.progress.add_task(name, total=self.total, facts="")
        self.begin: tuple[float, int] | None = None
        self.printed = time.monotonic()

    def show(self, now: Progress) -> None:
        """Move the bar, or print a line if the last one is ten seconds old."""
        if self.begin is None:
            self.begin = (time.monotonic(), now.step)
        done, facts = now.step + self.settings.equilibration, ", ".join(self._facts(now))
        if console.is_interactive:
            self.progress.update(self.bar, completed=done, facts=f": {facts}")
        elif time.monotonic() - self.printed >= _LINE_SECONDS:
            self.printed = time.monotonic()
            click.echo(f"{self.name}: step {done:,} of {self.total:,}: {facts}")

    def _facts(self, now: Progress) -> Iterator[str]:
        start, first = self.begin or (0.0, 0)
        rate = (now.step - first) / max(time.monotonic() - start, 1e-9)
        yield f"{rate:,.0f} steps/s"
        yield f"{now.temperature:,.0f} K"
        if math.isfinite(now.drift):
            yield f"{now.drift:+.2f} meV/atom"
        if now.running < self.settings.replicas:
            yield f"{now.running} of {self.settings.replicas} go on"


def _tell(word: str, run: Trajectory) -> None:
    """Say what has come of all replicas."""
    failed = [(number, each) for number, each in enumerate(run.status) if each.failed]
    for number, each in failed:
        click.secho(
            f"{word}, replica {number} failed at {each.time:,.1f} fs: {each.reason}",
            err=True,
            fg="yellow",
        )
    whole = run.replicas - len(failed)
    ended = f"{whole:,} of {run.replicas:,} replicas went to the end"
    click.echo(f"{word}: {'; '.join([ended, *_numbers(run)])}")


def _numbers(run: Trajectory) -> Iterator[str]:
    """Say how hot it was and, without a thermostat, whether it kept its energy."""
    from molcryst_bench.dynamics.conservation import energy_drift, mean_temperature

    if temperature := mean_temperature(run):
        yield f"{temperature.value:,.0f} K on average"
    isolated = run.settings["settings"]["thermostat"] == "none"
    if isolated and (drift := energy_drift(run)):
        yield f"energy drift {drift.value:.2g} meV/atom/ps"
