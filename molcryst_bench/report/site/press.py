"""Puts pages and figures where they belong."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment
from matplotlib.figure import Figure

from molcryst_bench.base.files import checksum_of
from molcryst_bench.base.theme import save_figure
from molcryst_bench.report import addresses
from molcryst_bench.report.environment import make_environment
from molcryst_bench.report.site.content import Content


class Press:
    """Prints the pages of a site and draws its figures."""

    def __init__(self, content: Content, folder: Path) -> None:
        self.folder = folder
        self._of = content

    def figure(self, figure: Figure, address: str) -> str:
        """Save a figure and return its address."""
        save_figure(figure, self.folder / address)
        return address

    def page(self, address: str, template: str, content: Mapping[str, Any]) -> None:
        """Fill in a template."""
        link = partial(addresses.link, address)
        text = self._environment.get_template(template).render(page=address, link=link, **content)
        path = self.folder / address
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    @cached_property
    def _environment(self) -> Environment:
        environment = make_environment()
        environment.globals |= {
            "version": version("molcryst_bench"),
            "results_sha256": checksum_of(self._of.leaderboard / "results.parquet"),
            "finished": sorted(cell.finished for cell in self._of.cells),
        }
        return environment
