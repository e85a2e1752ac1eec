"""What an audit found, and the file that keeps it: ``datasets/<name>/audit.json``."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

from pydantic import Field

from molcryst_bench.base.files import write_json
from molcryst_bench.base.settings import Settings
from molcryst_bench.graphs.split import SUBSETS

FILE = "audit.json"
PAIRS = tuple(combinations(SUBSETS, 2))  # the earlier subset and the later


class Finding(Settings):
    """How many records of one subset have a record like them in an earlier one."""

    earlier: str
    later: str
    group: str = Field(default="", description="such as a molecule of many; empty for all records")
    found: int = Field(ge=0, description="records of the later subset with a partner")
    records: int = Field(ge=0, description="records of the later subset")
    examples: tuple[tuple[str, str], ...] = Field(
        default=(), description="ids of a record of the later subset and its partner"
    )

    @property
    def share(self) -> float:
        """Part of the later subset; NaN if that is empty."""
        return self.found / self.records if self.records else float("nan")


class KindFindings(Settings):
    """All findings of one kind of likeness."""

    name: str
    meaning: str
    unknown: int = Field(ge=0, description="records of the dataset for which it is not known")
    findings: tuple[Finding, ...]

    @property
    def overall(self) -> tuple[Finding, ...]:
        """The findings over all groups, in the order of ``PAIRS``."""
        return self._of("")

    @property
    def by_group(self) -> dict[str, tuple[Finding, ...]]:
        """The findings in each group, in the order of ``PAIRS``."""
        groups = sorted({finding.group for finding in self.findings} - {""})
        return {group: self._of(group) for group in groups}

    def _of(self, group: str) -> tuple[Finding, ...]:
        found = {(f.earlier, f.later): f for f in self.findings if f.group == group}
        return tuple(
            found.get(pair) or Finding(earlier=pair[0], later=pair[1], found=0, records=0)
            for pair in PAIRS
        )


class SplitAudit(Settings):
    """The audit of one split."""

    digest: str = Field(description="of the split")
    source: str = Field(description="of the dataset, from which the structures were read")
    records: int = Field(description="in the subsets of the split, with a structure")
    unreadable: int = Field(description="in the subsets, but set aside because they cannot be read")
    kinds: tuple[KindFindings, ...]


class Audit(Settings):
    """The audits of the splits of a dataset, by name."""

    splits: dict[str, SplitAudit]


def load_audit(folder: Path) -> Audit:
    """Read the audit in the folder of a dataset; none has been made where there is no file.

    Raises:
        SettingsError: if the file is not an audit.
    """
    path = folder / FILE
    return Audit.load(path) if path.exists() else Audit(splits={})


def save_audit(audit: Audit, folder: Path) -> Path:
    """Write an audit into the folder of a dataset and return its path."""
    path = folder / FILE
    write_json(path, audit.model_dump(mode="json", exclude_defaults=True))
    return path
