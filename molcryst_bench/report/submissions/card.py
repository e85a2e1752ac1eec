"""What the authors of a submission say about it: ``card.yaml``."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from molcryst_bench.base.settings import Settings

_NAME_SIGNS = " -+._()/,:'&"
_INVISIBLE = ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp")  # controls, turned directions, and so on
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def _visible(text: str) -> str:
    for sign in text:
        if unicodedata.category(sign) in _INVISIBLE and sign not in "\n\t":
            raise ValueError(f"holds the invisible character U+{ord(sign):04X}")
    if not text.strip():
        raise ValueError("is empty")
    return text


def _name(text: str) -> str:
    for sign in text:
        if not (sign.isalnum() or unicodedata.combining(sign) or sign in _NAME_SIGNS):
            allowed = f"letters, digits, spaces and {_NAME_SIGNS.strip()}"
            raise ValueError(f"holds {sign!r}: a name is made of {allowed}")
    if text != " ".join(text.split()) or not any(sign.isalnum() for sign in text):
        raise ValueError("is no name, or has spaces too many")
    return text


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError as error:
        raise ValueError(f"is no address: {error}") from None
    strange = re.search(r"[\s<>\"'`{}|\\^]", text) or not text.isascii() or not text.isprintable()
    if parts.scheme != "https" or parts.username is not None or not _HOST.fullmatch(host):
        raise ValueError("is no address that begins with https:// and names a host")
    if strange:
        raise ValueError("holds characters that an address does not: write them as %-codes")
    return text


Name = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_name)]
Text = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_visible)]
Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_visible)]
Address = Annotated[str, Field(max_length=300), AfterValidator(_address)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SubmissionCard(Settings):
    """The content of ``card.yaml``. Texts are shown as they are: no HTML, no Markdown."""

    model: Name = Field(description="how tables name the model")
    task: Annotated[str, Field(max_length=100)] = Field(
        description="such as qm9/homo, or qm9/homo@scaffold for a split that is not the first"
    )
    unit: Line = Field(description="of the predictions; it must be that of the task")
    forces_unit: Line | None = Field(
        default=None, description="of the forces, on tasks that have energies and forces"
    )
    store_digest: Digest = Field(description="of the store whose test records were predicted")
    split_digest: Digest = Field(description="of the split in that store")
    authors: Annotated[list[Name], Field(min_length=1, max_length=50)] = Field(
        description="names, in the order in which they are to be shown"
    )
    description: Text = Field(description="what the model is and how it was trained")
    training_data: Text = Field(description="all that it has learnt from, also before")
    only_training_subset: bool = Field(
        description="whether it has learnt from nothing but the training subset of this split, "
        "and chosen settings with nothing but its validation subset"
    )
    code: Address | None = Field(default=None, description="where the code is")
    publication: Address | None = Field(default=None, description="such as https://doi.org/...")
    links: Annotated[list[Address], Field(max_length=10)] = Field(
        default=[], description="others, such as the weights"
    )
    licence: Line | None = Field(default=None, description="of the predictions")
    parameters: Annotated[int, Field(gt=0, lt=10**14)] | None = Field(
        default=None, description="number of trained parameters"
    )
    train_seconds: Annotated[float, Field(gt=0, lt=10**9)] | None = Field(
        default=None, description="time that training took, on `hardware`"
    )
    hardware: Line | None = Field(default=None, description="on which it was trained")

    @property
    def shown_name(self) -> str:
        """The name in tables, which says that others answer for it."""
        mark = "submitted" if self.only_training_subset else "submitted, other training data"
        return f"{self.model} ({mark})"

    @property
    def addresses(self) -> list[tuple[str, str]]:
        """All addresses with what they lead to."""
        named = [("Code", self.code), ("Publication", self.publication)]
        named += [("Link", each) for each in self.links]
        return [(name, address) for name, address in named if address is not None]
