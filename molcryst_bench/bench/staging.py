"""A copy of a store on the disk of the node that reads it, made once for all its workers."""

from __future__ import annotations

import filecmp
import shutil
from dataclasses import replace
from pathlib import Path

from molcryst_bench.base.files import whole_file, whole_folder
from molcryst_bench.base.locks import exclusive
from molcryst_bench.bench.cell import CellPlan

_CARD = "card.yaml"


def staged(plan: CellPlan, folder: Path | None) -> CellPlan:
    """Return a cell that reads its store from the disk of this machine.

    Args:
        plan: of the cell, whose store lies on a file system that all nodes share.
        folder: on this machine's own disk; none to read the store where it lies.
    """
    if folder is None:
        return plan
    place = folder.expanduser() / f"{plan.task.dataset}-{plan.store_digest[:16]}"
    copy, source = place / plan.store.name, plan.store.parent
    with exclusive(place.with_name(f".{place.name}.lock")):
        if not copy.exists():
            with whole_folder(copy) as partial:
                shutil.copytree(plan.store, partial, dirs_exist_ok=True)
        _refresh(source / "splits" / f"{plan.task.split}.parquet", place / "splits")
        _refresh(source / _CARD, place)
    return replace(plan, store=copy)


def _refresh(source: Path, folder: Path) -> None:
    """Copy a small file if it is not there, or another."""
    target = folder / source.name
    if not source.exists() or (target.exists() and filecmp.cmp(source, target, shallow=False)):
        return
    with whole_file(target) as partial:
        shutil.copyfile(source, partial)
