"""The tables about looks into models, the same wherever they are shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TypeVar

from molcryst_bench.interpret.faithfulness import RANDOM
from molcryst_bench.interpret.looks.record import (
    Estimate,
    FaithRow,
    Look,
    MapRow,
    RoughnessRow,
    ShareRow,
)
from molcryst_bench.report.columns import Column
from molcryst_bench.report.formatting import NOTHING, between, decimals_for, number, significant

METHODS = {
    "integrated": "integrated gradients",
    "grad_cam": "Grad-CAM",
    "saliency": "saliency",
    "cam": "CAM",
    RANDOM: "random values",
}
Row = TypeVar("Row")


@dataclass(frozen=True)
class TaskLooks:
    """What has been found on one task."""

    task: str
    looks: tuple[Look, ...]  # networks by their error, then raw representations

    @cached_property
    def models(self) -> tuple[Look, ...]:
        """The networks."""
        return tuple(look for look in self.looks if look.trained)

    @property
    def unit(self) -> str:
        """Of the property."""
        return self.looks[0].unit

    @property
    def problems(self) -> list[str]:
        """Which representations say nothing about this task, and why."""
        return [f"{look.representation}: {look.problem}" for look in self.looks if look.problem]

    @cached_property
    def roughness(self) -> tuple[Column, ...]:
        """A row for each representation: how rough the property is in it, beside the error."""
        rows = [look for look in self.looks if look.roughness]
        narrow = next((r.narrow_width for look in rows if (r := look.roughness)), None)
        at_width = f"at {narrow} components" if narrow else "at equal width"
        return (
            _words("model", "Representation", rows, lambda look: look.representation),
            _words("learned", "Learned", rows, lambda look: "yes" if look.trained else "no"),
            _numbers("width", "Features", rows, lambda look: _rough(look).width, 0),
            _words("metric", "Distance", rows, lambda look: _rough(look).metric),
            _estimates("rogi", "ROGI", rows, lambda look: _rough(look).rogi, 3),
            _estimates("rogi_xd", "ROGI-XD", rows, lambda look: _rough(look).rogi_xd, 3),
            _numbers("shuffled", "ROGI, shuffled", rows, lambda look: _rough(look).shuffled, 3),
            _numbers(
                "shuffled_xd", "ROGI-XD, shuffled", rows, lambda look: _rough(look).shuffled_xd, 3
            ),
            _numbers("narrow", f"ROGI {at_width}", rows, lambda r: _rough(r).narrow_rogi, 3),
            _numbers(
                "narrow_xd", f"ROGI-XD {at_width}", rows, lambda r: _rough(r).narrow_rogi_xd, 3
            ),
            _numbers("mae", f"Test MAE ({self.unit})", rows, lambda look: look.mae),
            _numbers("error", "Over that of the mean", rows, lambda look: look.relative_error),
        )

    @cached_property
    def faithfulness(self) -> tuple[Column, ...]:
        """A row for each method of each network, random values among them."""
        rows = [(look.representation, row) for look in self.models for row in look.faithfulness]

        def of(key: str, header: str, value: Callable[[FaithRow], Estimate | None]) -> Column:
            return _estimates(key, header, rows, lambda row: value(row[1]), 2)

        def size(key: str, header: str, value: Callable[[FaithRow], float]) -> Column:
            found = [value(row) for _, row in rows]
            return Column(key, header, tuple(f"{x:.1e}" for x in found), tuple(found))

        return (
            _words("model", "Model", rows, lambda row: row[0]),
            _words("method", "Attributions", rows, lambda row: METHODS[row[1].method]),
            of("deletion", "Deletion", lambda row: row.deletion),
            of("insertion", "Insertion", lambda row: row.insertion),
            of("weights", "With random weights", lambda row: row.with_random_weights),
            of("integrated", "With integrated gradients", lambda row: row.with_integrated),
            of("seeds", "Between seeds", lambda row: row.between_seeds),
            size("equivalent", "Equivalent atoms", lambda row: row.equivalent_atoms),
            size("rotation", "Rotation", lambda row: row.rotation),
        )

    @property
    def test_of_the_test(self) -> str:
        """Say how random values have done."""
        rows = [r for look in self.models for r in look.faithfulness if r.method == RANDOM]
        found = [each for row in rows for each in (row.deletion, row.insertion) if each]
        if not found:
            return ""
        holding = sum(low <= 0 <= high for _, low, high in found)
        structures = self.models[0].checked
        return (
            f"Random values must score as random orders do, at 0: {holding} of the {len(found)} "
            f"intervals of their deletion and insertion, over {structures} test structures, "
            f"hold 0."
        )

    @cached_property
    def elements(self) -> tuple[Column, ...]:
        """The mean value of an atom of each element, a column for each network."""
        return self._shares("Element", lambda look: look.elements)

    @cached_property
    def groups(self) -> tuple[Column, ...]:
        """The same for functional groups; nothing for crystals."""
        return self._shares("Functional group", lambda look: look.groups)

    def _shares(
        self, header: str, rows: Callable[[Look], Sequence[ShareRow]]
    ) -> tuple[Column, ...]:
        kinds = {row.kind: row for look in self.models for row in rows(look)}
        if not kinds:
            return ()
        known = list(kinds.values())
        columns = [
            _words("setting", header, known, lambda row: row.kind),
            _numbers("structures", "Structures", known, lambda row: row.structures, 0),
            _numbers("atoms", "Atoms", known, lambda row: row.atoms, 0),
        ]
        for look in self.models:
            of = {row.kind: row.per_atom for row in rows(look)}
            name = f"{look.representation} ({self.unit})"
            decimals = min(4, decimals_for(value for value, _, _ in of.values()))
            columns.append(_estimates("share", name, list(kinds), of.get, decimals))
        return tuple(columns)


def tasks_of(looks: Iterable[Look]) -> list[TaskLooks]:
    """Return looks by task, networks with small errors first."""

    def place(look: Look) -> tuple[str, bool, float, str]:
        error = look.relative_error
        return look.task, not look.trained, math.inf if error is None else error, look.place

    by_task = groupby(sorted(looks, key=place), lambda look: look.task)
    return [TaskLooks(task, tuple(found)) for task, found in by_task]


def map_columns(look: Look) -> tuple[Column, ...]:
    """Return how much each map of a network's embeddings keeps."""
    rows = look.maps
    return (
        _words("method", "Map", rows, _map_name),
        _numbers("trust", "Trustworthiness", rows, lambda row: row.trustworthiness, 3),
        _numbers("kept", "Neighbours kept", rows, lambda row: row.preservation, 3),
        _numbers(
            "correlation",
            "Rank correlation of neighbours' values",
            rows,
            lambda row: row.neighbor_correlation,
            3,
        ),
    )


def _map_name(row: MapRow) -> str:
    return f"{row.method}, {row.dimensions} dimensions"


def _rough(look: Look) -> RoughnessRow:
    if look.roughness is None:
        raise ValueError(f"{look.place} has no roughness")
    return look.roughness


def _words(key: str, header: str, rows: Sequence[Row], text: Callable[[Row], str]) -> Column:
    found = tuple(map(text, rows))
    return Column(key, header, found, found)


def _numbers(
    key: str,
    header: str,
    rows: Sequence[Row],
    value: Callable[[Row], float | None],
    decimals: int | None = None,
) -> Column:
    found = [value(row) for row in rows]

    def text(x: float | None) -> str:
        if x is None:
            return NOTHING
        return significant(x) if decimals is None else number(x, decimals)

    values = tuple(math.inf if x is None else x for x in found)
    return Column(key, header, tuple(map(text, found)), values)


def _estimates(
    key: str,
    header: str,
    rows: Sequence[Row],
    value: Callable[[Row], Estimate | None],
    decimals: int,
) -> Column:
    found = [value(row) for row in rows]

    def text(x: Estimate | None) -> str:
        if x is None:
            return NOTHING
        bounds = "" if x[1] == x[2] else f" ({between(x[1:], decimals)})"  # one alone has none
        return number(x[0], decimals) + bounds

    values = tuple(math.inf if x is None else x[0] for x in found)
    return Column(key, header, tuple(map(text, found)), values)
