"""The list of the paper's tables and figures.

What they hold is told as far as this project needs it. Errors that the paper states are in
``datasets/<name>/published.yaml``, and ``differences`` sets them beside those of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.bench.params import Params, list_profiles, load_profile
from molcryst_bench.report.paper.run import FRAMEWORKS, LIST, MATRIX, Place, Run

Profiles = Mapping[str, Params]


@dataclass(frozen=True)
class Exhibit:
    """A table or figure of the paper, and where this run shows the like."""

    name: str
    what: str
    commands: tuple[str, ...]
    places: tuple[Place, ...]
    profiles: tuple[str, ...]  # whose results have more of it


@dataclass(frozen=True)
class _Kind:
    name: str
    what: str
    commands: tuple[str, ...]
    places: Callable[[Run], Iterator[Place]]
    belongs: Callable[[Params], bool]  # whether results of these settings have it


def exhibits_of(run: Run, profiles: Profiles) -> list[Exhibit]:
    """Return all tables and figures, each with what a run has of it."""
    return [
        Exhibit(
            kind.name,
            kind.what,
            kind.commands,
            tuple(kind.places(run)),
            tuple(name for name, params in profiles.items() if kind.belongs(params)),
        )
        for kind in _KINDS
    ]


def known_profiles() -> dict[str, Params]:
    """Return the profiles of the project that can be read."""
    found = {}
    for name in list_profiles():
        try:
            found[name] = load_profile(name)
        except SettingsError:
            continue
    return found


def _always(params: Params) -> bool:
    return True


def _searches(params: Params) -> bool:
    return any(settings.search for settings in params.models.values())


def _several_seeds(params: Params) -> bool:
    return len(params.bench.seeds) > 1


def _both_formats(params: Params) -> bool:
    return {LIST, MATRIX} <= set(params.models)


def _frameworks(params: Params) -> bool:
    return any(task.split("/")[0] in FRAMEWORKS for task in params.bench.tasks)


def _dynamics(params: Params) -> bool:
    return params.dynamics is not None


def _interpretation(params: Params) -> bool:
    return getattr(params, "interpret", None) is not None


_SEARCHES = "molcryst searches"
_REPORT = ("molcryst report",)
_KINDS = (
    _Kind(
        "Table 1",
        "The space in which hyperparameters are searched",
        ("molcryst tune TASK MODEL --space paper",),
        Run.space,
        _searches,
    ),
    _Kind(
        "Tables 2 to 4, A1 and A2",
        "Errors and settings of the models: every table of this run",
        _REPORT,
        Run.numbers,
        _always,
    ),
    _Kind(
        "Figure 1",
        "Bayesian optimisation against random search",
        (
            "molcryst tune TASK MODEL",
            "molcryst tune TASK MODEL --method random",
            "molcryst searches",
        ),
        Run.searches,
        _searches,
    ),
    _Kind("Figure 2", "Predicted against reference values", _REPORT, Run.parity, _always),
    _Kind("Figure 3", "How much seeds differ", _REPORT, Run.seeds, _several_seeds),
    _Kind(
        "Figure 4, formats",
        "CGCNN with adjacency lists against adjacency matrices",
        ("molcryst bench run", "molcryst report"),
        Run.list_and_matrix,
        _both_formats,
    ),
    _Kind(
        "Figure 4, frameworks",
        "Predicted against reference values of metal-organic frameworks",
        _REPORT,
        Run.frameworks,
        _frameworks,
    ),
    _Kind(
        "Figure 5",
        "Frameworks with their true and predicted values",
        _REPORT,
        Run.samples,
        _frameworks,
    ),
    _Kind(
        "Figures 6 and 7",
        "Dynamics of molecules that models have not seen",
        ("molcryst transfer",),
        Run.transfer,
        _dynamics,
    ),
    _Kind(
        "Figures 8, B1 and B2",
        "Which atoms predictions rest on; maps of what models make of structures",
        ("molcryst explain CELL --test 100 --sums --check", "molcryst embed CELL --map"),
        Run.interpretation,
        _interpretation,
    ),
    _Kind(
        "Figure 9",
        "Roughness of properties in learned representations, beside errors",
        ("molcryst rogi EMBEDDINGS --figure roughness.svg",),
        Run.interpretation,
        _interpretation,
    ),
)
