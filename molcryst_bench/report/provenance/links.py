"""One link of the chain from raw bytes to a number, and whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["holds", "broken", "unchecked"]


@dataclass(frozen=True)
class Link:
    """What was compared with what, and what to do where that was not possible."""

    name: str
    state: State
    words: str


def verdict(links: Sequence[Link]) -> State:
    """Return the state of a chain: that of its weakest link."""
    states = {link.state for link in links}
    if "broken" in states:
        return "broken"
    return "unchecked" if "unchecked" in states else "holds"


def compared(name: str, stored: str, found: str) -> Link:
    """Compare two digests."""
    if stored == found:
        return Link(name, "holds", stored[:12])
    return Link(name, "broken", f"stored is {stored}, found {found}")
