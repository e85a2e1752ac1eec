"""The folder of a submission: two plain files, and nothing that leads elsewhere."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from molcryst_bench.report.submissions.refusal import RefusedError

SUBMISSIONS = "submissions"  # in the leaderboard's folder: those that were accepted
CARD, PREDICTIONS = "card.yaml", "predictions.parquet"
MAX_CARD_BYTES = 64 * 1024
MAX_PREDICTIONS_BYTES = 64 * 1024**2
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_LIMITS = {CARD: MAX_CARD_BYTES, PREDICTIONS: MAX_PREDICTIONS_BYTES}


def submission_folders(leaderboard: Path) -> list[Path]:
    """Return the folders of all submissions beside the results, sorted by name."""
    entries = sorted((leaderboard / SUBMISSIONS).glob("*"))
    return [each for each in entries if each.is_symlink() or each.is_dir()]


def check_files(folder: Path) -> None:
    """Look at the names, kinds and sizes of what is in a submission, before it is opened.

    Raises:
        RefusedError: with all reasons.
    """
    name = folder.name
    if folder.is_symlink():
        raise RefusedError(name, ["the folder is a link: put the files themselves there"])
    if not folder.is_dir():
        raise RefusedError(name, [f"{folder} is not a folder"])
    reasons = [] if _NAME.fullmatch(name) else [_on_name(name)]
    found = {entry.name: entry for entry in os.scandir(folder)}
    reasons += [f"{wanted} is missing" for wanted in _LIMITS.keys() - found.keys()]
    for each in sorted(found):
        reasons += _problems_of(found[each])
    if reasons:
        raise RefusedError(name, sorted(reasons))


def _problems_of(entry: os.DirEntry[str]) -> list[str]:
    if entry.name not in _LIMITS:
        allowed = " and ".join(_LIMITS)
        return [f"{entry.name!r} has no place in a submission, which is {allowed} alone"]
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        return [f"{entry.name} is a link: put the file itself there"]
    if not stat.S_ISREG(status.st_mode):
        return [f"{entry.name} is not a file"]
    limit = _LIMITS[entry.name]
    if status.st_size > limit:
        return [f"{entry.name} has {status.st_size:,} bytes, {limit:,} are allowed"]
    return [] if status.st_size else [f"{entry.name} is empty"]


def _on_name(name: str) -> str:
    allowed = "1 to 64 small letters (a to z), digits and hyphens between them"
    return f"the folder's name {name!r} is not made of {allowed}"
