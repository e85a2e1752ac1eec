"""Pages about more than one task: searches, transfer, looks into models, changes, the paper."""

from __future__ import annotations

from molcryst_bench.report import addresses
from molcryst_bench.report.interpretation import pages
from molcryst_bench.report.interpretation.found import draw_roughness_of
from molcryst_bench.report.paper.differences import differences
from molcryst_bench.report.paper.exhibits import exhibits_of, known_profiles
from molcryst_bench.report.paper.run import Run
from molcryst_bench.report.paper.space import published_space
from molcryst_bench.report.site.content import Content
from molcryst_bench.report.site.press import Press
from molcryst_bench.report.transfers.found import draw_molecule
from molcryst_bench.report.transfers.tables import MoleculeScores, explain_scores


def write_searches(of: Content, press: Press) -> None:
    """Write what each search for hyperparameters came to."""
    for found in of.searches:
        drawn = [
            (each, press.figure(each.figure, addresses.search_figure(each.name, found.comparison)))
            for each in found.draw()
        ]
        content = {"found": found, "drawn": drawn, "leaderboard": of.leaderboard}
        press.page(addresses.search_page(found.comparison), "search.html", content)


def write_transfers(of: Content, press: Press) -> None:
    """Write how models do on other molecules, if any was run on one."""
    if not of.transfers:
        return
    molecules = [(scores, _draw_molecule(scores, press)) for scores in of.transfers]
    content = {"molecules": molecules, "explanation": explain_scores()}
    press.page(addresses.TRANSFER, "transfer.html", content)


def _draw_molecule(of: MoleculeScores, press: Press) -> list[tuple[object, str]]:
    return [
        (each, press.figure(each.figure, addresses.transfer_figure(each.kind, of)))
        for each in draw_molecule(of)
    ]


def write_interpretations(of: Content, press: Press) -> None:
    """Write what looks into models have shown, if there were any."""
    if not of.interpretations:
        return
    drawn = draw_roughness_of(of.interpretations)
    content = {**pages.overview(of.interpretations), "drawn": drawn, "figure": None}
    if drawn:
        content["figure"] = press.figure(drawn.figure, addresses.ROUGHNESS)
    press.page(addresses.INTERPRETATION, "interpretation.html", content)
    for looks in of.interpretations:
        content = pages.task_page(looks, of.leaderboard, pages.keep_in(press.folder))
        address = addresses.interpretation_page(looks.task)
        press.page(address, "interpretation_task.html", content)


def write_changes(of: Content, press: Press) -> None:
    """Write what is new since older results, if there are any."""
    if of.changes is not None:
        press.page(addresses.CHANGES, "changes.html", {"changes": of.changes})


def write_paper(of: Content, press: Press) -> None:
    """Say where the paper's tables and figures are; all other pages have been written."""
    written = (path.relative_to(press.folder).as_posix() for path in press.folder.rglob("*.html"))
    comparisons = [found.comparison for found in of.searches]
    space = published_space()
    run = Run(of.tables, comparisons, frozenset(written), bool(space))
    content = {
        "exhibits": exhibits_of(run, known_profiles()),
        "profile": ", ".join(sorted({cell.profile for cell in of.cells})),
        "space": space,
        "differences": differences(of.tables),
    }
    press.page(addresses.PAPER, "paper.html", content)
