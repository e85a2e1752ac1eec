"""The card of a dataset: what it holds, in which units, from where, under which licence."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.base.project import dataset_folder, project_root
from molcryst_bench.base.settings import Settings


class RawTarget(Settings):
    """How a target is written in the raw files."""

    column: str = Field(description="its name in the raw files")
    unit: str
    factor: float = Field(default=1.0, description="multiply by this to get the target's unit")


class Target(Settings):
    """One property of a record."""

    unit: str = Field(description="unit of the stored values")
    error_unit: str = Field(description="unit in which the literature reports errors")
    error_factor: float = Field(default=1.0, description="error units per unit")
    level: Literal["graph", "node"] = "graph"
    components: Literal[1, 3] = Field(default=1, description="3 for a vector, such as a force")
    optional: bool = Field(
        default=False, description="some records lack it, which is stored as NaN"
    )
    extensive: bool = Field(default=False, description="grows with the number of atoms")
    description: str = ""
    raw: RawTarget | None = None

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of the value of one graph or atom: empty for a number, (3,) for a vector."""
        return () if self.components == 1 else (self.components,)


class Citation(Settings):
    """A publication to cite."""

    text: str
    doi: str


class Feature(Settings):
    """A known property of a structure that is given to tabular baselines, not predicted."""

    unit: str
    description: str = ""
    raw: RawTarget | None = None


class ForceField(Settings):
    """Which targets are an energy surface with its gradient, to be learnt as one task."""

    energy: str = Field(description="target of each graph")
    forces: str = Field(description="target of each atom: minus the gradient of the energy")
    groups: list[str] = Field(
        default=[], description="one task for each, such as a molecule of many; else one for all"
    )


class Folder(Settings):
    """Where a dataset of one's own lies: structure files and a table of labels.

    Paths are relative to the project, or absolute.
    """

    path: str = Field(min_length=1, description="folder of structure files")
    labels: str = Field(min_length=1, description="CSV table with one row for each structure")
    id: str = Field(description="column with the name of the file, with or without its suffix")


class RandomSplit(Settings):
    """All records, permuted and cut."""

    method: Literal["random"]
    train: int = Field(gt=0, description="records in the training set")
    valid: int = Field(gt=0, description="records in the validation set; the rest is the test set")
    seed: int
    description: str


class PublishedSplit(Settings):
    """As the raw files say; records that they do not assign are in no subset."""

    method: Literal["published"]
    valid: int = Field(
        default=0, ge=0, description="records of each group to take from the published training set"
    )
    seed: int = Field(default=0, description="of that choice")
    description: str


class TimeBlockSplit(Settings):
    """Consecutive blocks of each trajectory, with gaps, so that no test frame resembles another."""

    method: Literal["time_block"]
    train: float = Field(gt=0, lt=1, description="part of each trajectory for training")
    valid: float = Field(gt=0, lt=1, description="part for validation; the rest is for the test")
    gap: int = Field(ge=0, description="frames of the trajectory between blocks, in no subset")
    description: str


class FamilySplit(Settings):
    """Families of like records, each whole in one subset; a large one is for training."""

    train: float = Field(gt=0, lt=1, description="part of the usable records for training")
    valid: float = Field(gt=0, lt=1, description="part for validation; the rest is for the test")
    seed: int = Field(description="of the order in which families are taken")
    description: str


class ScaffoldSplit(FamilySplit):
    """Molecules by scaffold: rings and what links them."""

    method: Literal["scaffold"]


class ClusterSplit(FamilySplit):
    """Frameworks by likeness, near-duplicates together."""

    method: Literal["cluster"]
    similarity: float = Field(
        default=0.75,
        gt=0.5,
        le=1,
        description="part of the atoms with equal surroundings that makes two frameworks similar",
    )


SplitRecipe = Annotated[
    RandomSplit | PublishedSplit | TimeBlockSplit | ScaffoldSplit | ClusterSplit,
    Field(discriminator="method"),
]


class Card(Settings):
    """The validated content of ``datasets/<name>/card.yaml``."""

    name: str
    title: str
    description: str
    licence: str
    citations: list[Citation]
    records: int = Field(description="number of usable records in the whole dataset")
    quarantined: int = Field(default=0, description="records known to be unusable")
    closest_contact: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="part of the sum of two covalent radii; nearer atoms cannot be right",
    )
    targets: dict[str, Target]
    force_field: ForceField | None = Field(default=None, description="of energies with forces")
    features: dict[str, Feature] = Field(default={}, description="known, not predicted")
    splits: dict[str, SplitRecipe] = Field(description="name of each split, and how it was drawn")
    folder: Folder | None = Field(default=None, description="of a dataset without an importer")
    notes: tuple[str, ...] = ()


def load_card(dataset: str) -> Card:
    """Read the card of a dataset of this project.

    Raises:
        SettingsError: if there is no such dataset or its card is wrong.
    """
    path = dataset_folder(dataset) / "card.yaml"
    if not path.exists():
        raise SettingsError(unknown_name("dataset", dataset, list_datasets()))
    return Card.load(path)


def list_datasets() -> list[str]:
    """Return the names of all datasets that have a card."""
    return sorted(path.parent.name for path in project_root().glob("datasets/*/card.yaml"))
