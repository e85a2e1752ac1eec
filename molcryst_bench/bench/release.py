"""The card of a trained model: what one has to know before using it, beside its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from molcryst_bench.base.files import whole_file
from molcryst_bench.bench.result import CellResult
from molcryst_bench.sources.card import Card
from molcryst_bench.training.bootstrap import CONFIDENCE
from molcryst_bench.training.checkpoint import ModelCard

RELEASE_CARD = "card.md"


def load_dataset_card(store: Path) -> Card:
    """Read the card that lies beside the store of a dataset, wherever the worker is."""
    return Card.load(store.parent / "card.yaml")


def write_release_card(folder: Path, result: CellResult, model: ModelCard, dataset: Card) -> None:
    """Write ``card.md`` into the folder of a cell."""
    sections = {
        "Use": _use(result, dataset),
        "Errors": _bullets(_errors(result)),
        "Limits": _limits(model),
        "Data": _bullets(_data(result, dataset)),
        "Licence of the data": dataset.licence,
        "To cite": _bullets(f"{c.text}, doi {c.doi}" for c in dataset.citations),
        "Origin": _bullets(_origin(result)),
    }
    title = f"# {result.model} for {result.task}, seed {result.seed}"
    parts = [title, *(f"## {name}\n\n{content}" for name, content in sections.items())]
    with whole_file(folder / RELEASE_CARD) as partial:
        partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _use(result: CellResult, dataset: Card) -> str:
    target = dataset.targets[result.target]
    meaning = f" ({target.description})" if target.description else ""
    example = [
        "```python",
        "import molcryst_bench as mb",
        'predictor = mb.load_predictor("path/to/this/folder")',
        f"predictor(list_of_ase_atoms)  # a numpy array in {result.unit}",
        "```",
    ]
    text = f"Predicts `{result.target}`{meaning} in {result.unit}.\n\n" + "\n".join(example)
    if result.forces_unit is None:
        return text
    return text + "\n\nForces are in `predictor.energies_and_forces(list_of_ase_atoms).forces`."


def _errors(result: CellResult) -> Iterator[str]:
    unit, forces_unit = f" {result.error_unit}", f" {result.forces_unit}"
    yield f"mean absolute error {result.mae:.4g}{unit}{_interval(result, 'mae')}"
    yield f"root mean square error {result.rmse:.4g}{unit}{_interval(result, 'rmse')}"
    yield f"R² {result.r2:.4f}{_interval(result, 'r2')}"
    if result.forces_mae is not None:
        shown = f"{result.forces_mae:.4g}{forces_unit}{_interval(result, 'forces_mae')}"
        yield f"mean absolute error of the forces {shown}"
    if result.coverage_90 is not None:
        width = f"{result.interval_90:.4g} {result.error_unit}"
        yield f"90 % intervals: {width} wide, true for {100 * result.coverage_90:.1f} %"
    yield f"all on {result.n_test:,} structures of the test subset, which training has not seen"


def _interval(result: CellResult, error: str) -> str:
    bounds = result.interval_of(error)
    percent = f"{100 * CONFIDENCE:g} % interval"
    return "" if bounds is None else f" ({percent} {bounds[0]:.4g} to {bounds[1]:.4g})"


def _limits(model: ModelCard) -> str:
    head = "The training subset had, and predictions outside of it are not to be trusted:"
    return f"{head}\n\n{_bullets(model.in_words())}"


def _data(result: CellResult, dataset: Card) -> Iterator[str]:
    yield f"{dataset.title}: {dataset.description}"
    sizes = f"{result.n_train:,} training, {result.n_valid:,} validation, {result.n_test:,} test"
    yield f"split `{result.split}`: {sizes} records"
    if recipe := dataset.splits.get(result.split):
        yield recipe.description


def _origin(result: CellResult) -> Iterator[str]:
    yield f"{result.parameters:,} parameters, profile `{result.profile}`, {result.finished}"
    yield f"hyperparameters `{result.hyperparameters}`"
    yield f"training `{result.training}`"
    yield f"store {result.store_digest}"
    yield f"split {result.split_digest}"
    yield f"code {result.code_digest}"
    yield f"weights {result.weights_sha256}"


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {' '.join(item.split())}" for item in items)
