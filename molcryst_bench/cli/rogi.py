"""``molcryst rogi``: how rough a property is in representations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np

    from molcryst_bench.interpret.embeddings import Embeddings
    from molcryst_bench.interpret.roughness_study import Interval


@click.command()
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--metric",
    type=click.Choice(["euclidean", "cityblock", "cosine", "tanimoto"]),
    help="Between structures: Tanimoto for whole fingerprints, else Euclidean, by default.",
)
@click.option("--width", type=click.IntRange(min=1), help="Compare this many principal components.")
@click.option("--most", type=click.IntRange(min=3), help="Take this many structures at random.")
@click.option(
    "--resamples",
    type=click.IntRange(min=0),
    default=0,
    help="Resamples of structures for 95 % intervals; each takes as long as the index itself.",
)
@click.option(
    "--parts",
    type=click.IntRange(min=3),
    metavar="SIZE",
    help="For large sets: the mean over disjoint parts of this many structures.",
)
@click.option("--shuffles", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--figure",
    type=click.Path(path_type=Path),
    help="Draw roughness beside error, as SVG, PDF or PNG.",
)
def rogi(
    tables: tuple[Path, ...],
    metric: str | None,
    width: int | None,
    most: int | None,
    resamples: int,
    parts: int | None,
    shuffles: int,
    seed: int,
    figure: Path | None,
) -> None:
    """Say how rough the property is in each of TABLES, which `molcryst embed` writes.

    ROGI and ROGI-XD go from 0, where neighbours have like values, to what shuffled values have. To
    compare representations, give them one width and look at ROGI-XD.
    """
    from molcryst_bench.cli.console import shown
    from molcryst_bench.interpret.embeddings import Embeddings
    from molcryst_bench.interpret.raw import METRIC
    from molcryst_bench.interpret.roughness_figure import draw_roughness
    from molcryst_bench.interpret.roughness_study import reduced, study

    points = []
    for path in tables:
        given = _chosen(Embeddings.load(path), most, seed)
        own = METRIC.get(given.facts["model"], "euclidean")
        chosen = metric or (own if width is None else "euclidean")  # components are no bits
        features = given.features if width is None else reduced(given.features, width)
        size = f"{len(features):,} structures, {features.shape[1]} features, {chosen}"
        click.echo(f"{given.name}: {size}{_error(given)}")
        if parts is not None:
            _of_parts(features, given.values, parts, chosen, seed)
            continue
        found = study(features, given.values, chosen, shuffles=shuffles, seed=seed)
        bounds = _resampled(features, given.values, chosen, resamples, seed)
        click.echo(f"  ROGI {found.rogi:.4f}{bounds[0]}; shuffled labels {found.shuffled:.4f}")
        click.echo(f"  ROGI-XD {found.rogi_xd:.4f}{bounds[1]}; shuffled {found.shuffled_xd:.4f}")
        points += _point(given, found.rogi_xd)
    if figure is not None:
        correlation = _bounds(draw_roughness(points, [figure]))
        click.echo(f"Rank correlation of ROGI-XD and error: {correlation}; {shown(figure)}")


def _of_parts(features: np.ndarray, values: np.ndarray, parts: int, metric: str, seed: int) -> None:
    """Say the mean over disjoint parts of one size, and of a half and a quarter of it."""
    from molcryst_bench.cli.console import counted
    from molcryst_bench.interpret.roughness_study import extrapolated, sampled_rogi

    sizes = []
    for points in (parts // 4, parts // 2, parts):
        with counted(f"Parts of {points:,}") as progress:
            of_size = sampled_rogi(features, values, points, metric, seed=seed, progress=progress)
        click.echo(f"  ROGI of {of_size.parts} parts of {points:,}: {_bounds(of_size.mean)}")
        sizes.append(of_size)
    whole = _bounds(extrapolated(sizes, len(values)))
    click.echo(f"  extrapolated to all {len(values):,}: {whole}")


def _resampled(
    features: np.ndarray, values: np.ndarray, metric: str, resamples: int, seed: int
) -> tuple[str, str]:
    """Return the bounds of both indices in words, if any are asked for."""
    from molcryst_bench.cli.console import counted
    from molcryst_bench.interpret.roughness import Axis
    from molcryst_bench.interpret.roughness_study import rogi_interval

    if not resamples:
        return "", ""

    def bounds(axis: Axis) -> str:
        with counted("Resampling") as progress:
            found = rogi_interval(
                features,
                values,
                metric,
                axis=axis,
                resamples=resamples,
                seed=seed,
                progress=progress,
            )
        return f" ({found.low:.4f} to {found.high:.4f})"

    return bounds("distance"), bounds("clusters")


def _error(given: Embeddings) -> str:
    if given.error != given.error:
        return ""
    return f", error {given.error:.4g} {given.facts['unit']}"


def _chosen(given: Embeddings, most: int | None, seed: int) -> Embeddings:
    """Return the structures whose value is known, a random part of them if that is too many."""
    import numpy as np

    rows = np.flatnonzero(np.isfinite(given.values))
    if most is not None and most < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    return given.take(rows)


def _point(given: Embeddings, roughness: float) -> list:  # type: ignore[type-arg]
    import numpy as np

    from molcryst_bench.interpret.roughness_figure import Roughness

    if given.error != given.error:
        return []
    spread = float(np.abs(given.values - given.values.mean()).mean())
    facts = given.facts
    return [Roughness(facts["task"], facts["model"], roughness, given.error / spread)]


def _bounds(interval: Interval) -> str:
    return f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"
