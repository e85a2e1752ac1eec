"""How templates become pages."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from molcryst_bench.report import addresses, formatting
from molcryst_bench.report.documentation import kind_of


def make_environment() -> Environment:
    """Return what fills in templates: all text is escaped, and nothing may be missing."""
    environment = Environment(
        loader=PackageLoader("molcryst_bench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"address": addresses, "kind_of": kind_of}
    environment.filters |= {
        "number": formatting.number,
        "significant": formatting.significant,
        "duration": formatting.duration,
        "between": formatting.between,
        "percent": formatting.percent,
        "short": formatting.short_digest,
    }
    return environment
