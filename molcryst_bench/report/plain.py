"""Docstrings of models as text for a terminal, formulas as far as Unicode goes."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence

from molcryst_bench.report.documentation import Block, Span

_SIGNS = {
    r"\leftarrow": "←",
    r"\sum": "Σ",
    r"\circ": "∘",
    r"\oplus": "⊕",
    r"\top": "T",
    r"\dots": "…",
    r"\langle": "⟨",
    r"\rangle": "⟩",
    r"\sqrt": "√",
    r"\cdot": "·",
    r"\lambda": "λ",
    r"\,": " ",
    r"\ ": " ",
    r"\;": " ",
    r"\!": "",
    r"\quad": " ",
    r"\qquad": " ",
}
_FRACTION = re.compile(r"\\[td]?frac\s*(?:(\d)\s*(\d)|\{([^{}]*)\}\s*\{([^{}]*)\})")
_SIZES = re.compile(r"\\(?:[bB]igg?[lr]?|left|right|textstyle|displaystyle)\b")
_WORDS = re.compile(r"\\(?:mathrm|mathbf|text)\s*\{([^{}]*)\}")
_VECTOR = re.compile(r"\\vec\s*(\w)")
_COMMAND = re.compile(r"\\(?:[A-Za-z]+|.)")


def as_text(block: Block, width: int) -> str:
    """Return a block as lines of at most ``width`` characters; formulas are indented."""
    if block.kind == "literal":
        return textwrap.indent(block.text, "    ")
    text = " ".join("".join(map(_span, block.spans)).split())
    indent = "    " if block.kind == "formula" else ""
    return textwrap.fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def plain_formula(latex: str) -> str:
    r"""Return a formula with signs for commands: ``\sum_j x_j`` becomes ``Σ_j x_j``.

    A command that is not known keeps its name.
    """
    latex = _FRACTION.sub(lambda found: "/".join(filter(None, found.groups())), latex)
    latex = _WORDS.sub(r"\1", _SIZES.sub("", latex))
    latex = _VECTOR.sub("\\1\N{COMBINING RIGHT ARROW ABOVE}", latex)
    latex = _COMMAND.sub(lambda found: _sign(found[0]), latex)
    return " ".join(re.sub(r"\{([A-Za-z0-9]+)\}", r"\1", latex).split())


def references(blocks: Sequence[Block]) -> list[str]:
    """Return the sources that a description names, one text for each."""
    named = [as_text(block, 10**6) for block in blocks if _is_reference(block)]
    return [one.strip().rstrip(".") for text in named for one in text.partition(":")[2].split("; ")]


def body(blocks: Sequence[Block]) -> list[Block]:
    """Return a description without its references."""
    return [block for block in blocks if not _is_reference(block)]


def _sign(command: str) -> str:
    name = command[1:]
    try:
        letter = unicodedata.lookup(f"GREEK SMALL LETTER {name.removeprefix('var')}")
    except KeyError:
        return _SIGNS.get(command, name)
    return letter.upper() if name[0].isupper() else letter


def _is_reference(block: Block) -> bool:
    return block.kind == "paragraph" and bool(re.match(r"References?:", block.text))


def _span(span: Span) -> str:
    if span.kind == "math":
        return plain_formula(span.text)
    return f"doi {span.text}" if span.kind == "doi" else span.text
