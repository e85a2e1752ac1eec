"""The first page."""

from __future__ import annotations

from molcryst_bench.report import addresses, figures
from molcryst_bench.report.costs import Costs, costs_of, draw_costs
from molcryst_bench.report.interpretation.found import in_one_line as looks_in_one_line
from molcryst_bench.report.site.content import Content
from molcryst_bench.report.site.press import Press
from molcryst_bench.report.submissions.shown import left_out
from molcryst_bench.report.tables import TaskTable, explain_ranks
from molcryst_bench.report.transfers.found import in_one_line as transfers_in_one_line


def write_index(of: Content, press: Press) -> None:
    """Write what leads to all other pages, with every table."""
    content = {
        "tables": of.tables,
        "overviews": [_draw_overview(table, press) for table in of.tables],
        "costs": [_draw_costs(table, press) for table in of.tables],
        "models": of.models,
        "datasets": [facts.card for facts in of.datasets.values()],
        "searches": [found.comparison for found in of.searches],
        "transfers": transfers_in_one_line(of.transfers) if of.transfers else "",
        "interpretations": looks_in_one_line(of.interpretations),
        "cells": of.cells,
        "changes": of.changes,
        "left_out": left_out(of.leaderboard, _submitted_names(of)),
        "explanation": explain_ranks(),
    }
    press.page(addresses.INDEX, "index.html", content)


def _draw_overview(table: TaskTable, press: Press) -> str:
    return press.figure(figures.overview(table), addresses.task_figure("overview", table))


def _draw_costs(table: TaskTable, press: Press) -> tuple[str, list[Costs]] | None:
    found = costs_of(table)
    if not found:
        return None
    address = addresses.task_figure("costs", table)
    return press.figure(draw_costs(table, found), address), found


def _submitted_names(of: Content) -> set[str]:
    entries = [entry for table in of.tables for entry in table.submitted]
    return {entry.submission.submission.name for entry in entries if entry.submission}
