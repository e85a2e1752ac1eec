"""Looking into one model or one raw representation on one task."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from ase import Atoms

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.base.files import whole_folder
from molcryst_bench.base.locks import exclusive
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.interpret.draw import draw_for_screens
from molcryst_bench.interpret.embeddings import Embeddings, chosen_rows, embed
from molcryst_bench.interpret.explain import Explanation, explain
from molcryst_bench.interpret.faithfulness import Faithfulness, Mean, check
from molcryst_bench.interpret.groups import Share, shares_of_elements, shares_of_groups
from molcryst_bench.interpret.looks.plan import LookPlan
from molcryst_bench.interpret.looks.record import (
    EMBEDDINGS,
    MAP,
    PAGE,
    DrawnStructure,
    Estimate,
    FaithRow,
    Look,
    MapRow,
    RoughnessRow,
    ShareRow,
    write_look,
)
from molcryst_bench.interpret.looks.stage import finished_look
from molcryst_bench.interpret.map_figure import MapPicture, draw_map_for_screens, write_page
from molcryst_bench.interpret.maps import MapQuality, judge, pca_map, umap_map
from molcryst_bench.interpret.raw import METRIC, represent, structures_of
from molcryst_bench.interpret.roughness_study import Interval, reduced, rogi_intervals, study
from molcryst_bench.training.predict import Predictor, load_predictor

_ALIKE = "all structures are alike in it"


def look_into(plan: LookPlan) -> Look:
    """Look into one, or find that another worker has done so meanwhile.

    Its folder appears as a whole: drawings, embeddings, maps, and ``look.json`` with all numbers.
    """
    with exclusive(plan.lock):
        look = finished_look(plan)
        if look is None:
            begin = time.perf_counter()
            with whole_folder(plan.folder) as folder, warnings.catch_warnings(action="ignore"):
                found = _of_model(plan, folder) if plan.models else _of_raw(plan, folder)
                look = found.model_copy(update={"seconds": time.perf_counter() - begin})
                write_look(folder, look)
        return look


def _of_model(plan: LookPlan, folder: Path) -> Look:
    """Explain, check, embed, map: all that one can ask a trained network."""
    store = open_store(plan.store)
    seeds = [load_predictor(each) for each in plan.models]
    first = seeds[0]
    embeddings, rows = _embedded(plan, store, first)
    embeddings.save(folder / EMBEDDINGS)
    mae, relative = _errors(plan.models[0])
    return _blank(plan, embeddings).model_copy(
        update={
            "mae": mae,
            "relative_error": relative,
            **_explained(plan, store, first, folder),
            **_checked(plan, store, seeds),
            "maps": _maps(plan, embeddings, structures_of(store, rows), folder),
            "roughness": _roughness(plan, embeddings),
        }
    )


def _of_raw(plan: LookPlan, folder: Path) -> Look:
    """Say how rough the property is in what nobody has trained."""
    store = open_store(plan.store)
    rows = _rows(plan, store, plan.settings.embedded, "all")
    try:
        embeddings = represent(plan.representation, plan.task.name, store, rows)
    except SettingsError as error:  # not for such structures
        return _blank(plan).model_copy(update={"problem": str(error)})
    embeddings.save(folder / EMBEDDINGS)
    look = _blank(plan, embeddings)
    if np.ptp(embeddings.features, axis=0).max() == 0:
        return look.model_copy(update={"problem": _ALIKE})
    return look.model_copy(update={"roughness": _roughness(plan, embeddings)})


def _blank(plan: LookPlan, embeddings: Embeddings | None = None) -> Look:
    return Look(
        task=plan.task.name,
        representation=plan.representation,
        seed=plan.seed,
        trained=bool(plan.models),
        key=plan.key,
        quantity=plan.task.target,
        unit=plan.task.definition.unit,
        draw=plan.settings.seed,
        resamples=plan.settings.resamples,
        steps=plan.settings.steps,
        embedded=0 if embeddings is None else len(embeddings.ids),
    )


def _rows(plan: LookPlan, store: GraphStore, most: int, subset: str) -> np.ndarray:
    task = plan.task
    return chosen_rows(store, most, plan.settings.seed, task.split, subset, task.group)


def _embedded(
    plan: LookPlan, store: GraphStore, predictor: Predictor
) -> tuple[Embeddings, np.ndarray]:
    rows = _rows(plan, store, plan.settings.embedded, "all")
    return embed(predictor, store, rows), rows


def _errors(folder: Path) -> tuple[float, float]:
    """Return the error on the test set, and in parts of the mean deviation there."""
    table = pq.read_table(folder / "predictions.parquet", columns=["target", "prediction"])
    target, prediction = (table[name].to_numpy() for name in ("target", "prediction"))
    mae = float(np.abs(prediction - target).mean())
    return mae, mae / float(np.abs(target - target.mean()).mean())


def _explained(
    plan: LookPlan, store: GraphStore, predictor: Predictor, folder: Path
) -> dict[str, Any]:
    """Explain test structures, add up their values, and draw the first."""
    settings = plan.settings
    rows = _rows(plan, store, settings.explained, "test")
    found = explain(predictor, structures_of(store, rows), most_steps=settings.steps)
    truth = store.graphs.with_targets([plan.task.target]).graph_targets[rows, 0].tolist()
    drawn = [
        _drawn(number, store.ids[row], each, true, folder)
        for number, (row, each, true) in enumerate(
            zip(rows[: settings.drawn], found, truth, strict=False), start=1
        )
    ]
    crystals = any(each.atoms.pbc.any() for each in found)
    groups = [] if crystals else shares_of_groups(found, settings.seed)
    return {
        "explained": len(found),
        "drawn": tuple(drawn),
        "elements": tuple(map(_share, shares_of_elements(found, settings.seed))),
        "groups": tuple(map(_share, groups)),
    }


def _drawn(
    number: int, name: str, explanation: Explanation, truth: float, folder: Path
) -> DrawnStructure:
    file = f"atoms-{number:02d}.svg"
    draw_for_screens(explanation, folder / file)
    return DrawnStructure(
        id=str(name),
        file=file,
        formula=explanation.atoms.get_chemical_formula(mode="hill"),
        prediction=explanation.prediction,
        truth=truth if np.isfinite(truth) else None,
    )


def _checked(plan: LookPlan, store: GraphStore, seeds: Sequence[Predictor]) -> dict[str, Any]:
    """Test attributions of the first model, and compare them with those of the others."""
    rows = _rows(plan, store, plan.settings.checked, "test")
    first = seeds[0]
    members = [member for each in seeds for member in each.members]
    together = Predictor(members, first.card, first.calibration, first.device)
    structures, settings = structures_of(store, rows), plan.settings
    table = check(together, structures, seed=settings.seed, most_steps=settings.steps)
    return {
        "checked": len(rows),
        "seeds": len(members),
        "faithfulness": tuple(map(_faith, table)),
    }


def _maps(
    plan: LookPlan, found: Embeddings, structures: Sequence[Atoms], folder: Path
) -> tuple[MapRow, ...]:
    """Map embeddings, judge the maps, and draw them as a figure and as a page."""
    maps = {("UMAP", d): umap_map(found.features, d, plan.settings.seed) for d in (2, 3)}
    maps |= {("PCA", d): pca_map(found.features, d) for d in (2, 3)}
    quality = judge(found.features, maps, found.values)
    picture = MapPicture(
        f"{plan.task.name}: second-last layer of {plan.representation}",
        plan.task.target,
        plan.task.definition.unit,
        found.ids.tolist(),
        found.values,
        maps["UMAP", 2],
        maps["UMAP", 3],
        quality,
    )
    draw_map_for_screens(picture, folder / MAP)
    write_page(picture, structures, folder / PAGE)
    return tuple(map(_map, quality))


def _roughness(plan: LookPlan, given: Embeddings) -> RoughnessRow:
    """Return both indices with bounds, their ceilings, and both at equal width."""
    known = given.take(np.flatnonzero(np.isfinite(given.values)))
    settings, metric = plan.settings, METRIC.get(plan.representation, "euclidean")
    whole = study(known.features, known.values, metric, seed=settings.seed)
    bounds = rogi_intervals(
        known.features, known.values, metric, resamples=settings.resamples, seed=settings.seed
    )
    row = RoughnessRow(
        metric=metric,
        points=whole.points,
        width=whole.width,
        rogi=_estimate(bounds["distance"]),
        rogi_xd=_estimate(bounds["clusters"]),
        shuffled=whole.shuffled,
        shuffled_xd=whole.shuffled_xd,
    )
    if settings.width > min(known.features.shape):
        return row
    narrow = study(reduced(known.features, settings.width), known.values, shuffles=1)
    return row.model_copy(
        update={
            "narrow_width": settings.width,
            "narrow_rogi": narrow.rogi,
            "narrow_rogi_xd": narrow.rogi_xd,
        }
    )


def _estimate(interval: Interval) -> Estimate:
    return interval.value, interval.low, interval.high


def _share(share: Share) -> ShareRow:
    return ShareRow(
        kind=share.kind,
        structures=share.structures,
        atoms=share.atoms,
        per_atom=(share.per_atom, share.low, share.high),
        size=(share.size, share.size_low, share.size_high),
    )


def _faith(row: Faithfulness) -> FaithRow:
    values = row._asdict()
    means = {key: _known(value) for key, value in values.items() if isinstance(value, Mean)}
    return FaithRow(**{**values, **means})


def _known(mean: Mean) -> Estimate | None:
    return tuple(mean) if np.isfinite(mean).all() else None  # type: ignore[return-value]


def _map(quality: MapQuality) -> MapRow:
    values = quality._asdict()
    correlation = values.pop("neighbor_correlation")
    return MapRow(**values, neighbor_correlation=correlation if np.isfinite(correlation) else None)
