"""What a run has to show for the paper's tables and figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from molcryst_bench.report import addresses
from molcryst_bench.report.entries import Entry
from molcryst_bench.report.formatting import number
from molcryst_bench.report.searches.reading import Comparison
from molcryst_bench.report.tables import TaskTable

LIST, MATRIX = "cgcnn", "cgcnn_matrix"
FRAMEWORKS = ("hmof", "coremof")  # datasets, the paper's first
_INTERPRETATION = "interpretation"


@dataclass(frozen=True)
class Place:
    """A page, or a part of one."""

    label: str
    address: str
    anchor: str = ""  # with its sign


@dataclass(frozen=True)
class Run:
    """The results of a site and the pages that it has."""

    tables: Sequence[TaskTable]
    comparisons: Sequence[Comparison]  # of searches
    pages: frozenset[str]  # addresses
    has_space: bool  # the paper's search space can be shown

    def numbers(self) -> Iterator[Place]:
        """Yield the table of each task, and each model's page with its settings."""
        for table in self.tables:
            yield Place(table.title, addresses.INDEX, f"#{addresses.anchor(table)}")
        for model in sorted({entry.model for table in self.tables for entry in table.own}):
            yield Place(model, addresses.model_page(model), "#hyperparameters")

    def space(self) -> Iterator[Place]:
        """Yield the table of the search space, where its file is."""
        if self.has_space:
            yield Place("Table below", addresses.PAPER, "#space")

    def searches(self) -> Iterator[Place]:
        """Yield the searches of more than one method."""
        for each in self.comparisons:
            methods = ", ".join(method.name for method in each.methods)
            yield Place(f"{each.title}: {methods}", addresses.search_page(each))

    def parity(self) -> Iterator[Place]:
        """Yield the parity plots of each task."""
        for table in self.tables:
            yield Place(table.title, addresses.task_page(table), "#parity")

    def seeds(self) -> Iterator[Place]:
        """Yield the tasks on which models were trained with several seeds."""
        for table in self.tables:
            if (seeds := max(len(entry.cells) for entry in table.own)) > 1:
                label = f"{table.title}, {seeds} seeds"
                yield Place(label, addresses.task_page(table), "#seeds")

    def list_and_matrix(self) -> Iterator[Place]:
        """Yield the tasks that CGCNN was trained on in both formats, with their difference."""
        for table in self.tables:
            found = {entry.model: entry for entry in table.own}
            if {LIST, MATRIX} <= set(found):
                words = f"{table.title}: {_difference(table, found[LIST], found[MATRIX])}"
                yield Place(words, addresses.compare_page(table))

    def frameworks(self) -> Iterator[Place]:
        """Yield the parity plots of metal-organic frameworks."""
        for table in self._of_frameworks():
            yield Place(table.title, addresses.task_page(table), "#parity")

    def samples(self) -> Iterator[Place]:
        """Yield frameworks with true and predicted values, of the best model on each task."""
        for table in self._of_frameworks():
            cell = table.own[0].representative
            label = f"{table.title}, {cell.model}"
            yield Place(label, addresses.cell_page(cell), "#drawn")

    def transfer(self) -> Iterator[Place]:
        """Yield the page about molecules that models have not seen."""
        if addresses.TRANSFER in self.pages:
            yield Place("Transfer", addresses.TRANSFER)

    def interpretation(self) -> Iterator[Place]:
        """Yield the pages about attributions, maps and roughness."""
        for page in sorted(self.pages):
            if page.startswith(_INTERPRETATION):
                yield Place(page.removesuffix(".html"), page)

    def _of_frameworks(self) -> list[TaskTable]:
        tables = [table for table in self.tables if table.card.name in FRAMEWORKS]
        return sorted(tables, key=lambda table: FRAMEWORKS.index(table.card.name))


def _difference(table: TaskTable, first: Entry, second: Entry) -> str:
    difference = number(first.mae.mean - second.mae.mean, table.error_decimals)
    return f"MAE of the list minus the matrix {difference} {table.first.error_unit}"
