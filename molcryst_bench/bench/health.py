"""Whether the installation and the project are in order."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.base.executors import available_cores
from molcryst_bench.base.project import project_root, store_path

_SPARE_GB = 2.0  # of the disk, below which a run may not end


class Check(NamedTuple):
    """What was looked at, and whether it is good."""

    good: bool
    words: str


def check_installation() -> Iterator[Check]:
    """Look at Python, the packages, cores and GPUs."""
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Check(fits, f"Python {version} at {sys.executable}" + "; 3.11 to 3.13 works" * (not fits))
    yield _packages()
    yield _devices()


def check_project() -> Iterator[Check]:
    """Look at the project in this folder: settings, stores, disk, mirror, locks."""
    from molcryst_bench.bench.params import load_params

    try:
        root = project_root()
        params = load_params()
    except MolcrystError as error:
        yield Check(False, str(error))
        return
    yield Check(True, f"{root}: profile '{params.profile}', {len(params.models)} models")
    for dataset in params.datasets:
        yield _store(dataset)
    yield _disk(root)
    if (mirror := os.environ.get("MOLCRYST_MIRROR")) is not None:
        there = Path(mirror).is_dir()
        yield Check(there, f"MOLCRYST_MIRROR is {mirror}" + ", which is no folder" * (not there))


def _packages() -> Check:
    """Look for packages that are missing, or older than this one asks for."""
    from packaging.requirements import Requirement

    wrong = []
    for text in metadata.requires("molcryst_bench") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} is {found}, not {requirement.specifier}")
    return Check(not wrong, "; ".join(wrong) or "all packages are there in versions that fit")


def _devices() -> Check:
    import torch

    gpus = [torch.cuda.get_device_name(each) for each in range(torch.cuda.device_count())]
    words = f"torch {torch.__version__}, {available_cores()} cores, "
    return Check(True, words + (f"GPUs: {', '.join(gpus)}" if gpus else "no GPU"))


def _store(dataset: str) -> Check:
    from molcryst_bench.graphs.store import open_store

    try:
        store = open_store(store_path(dataset))
        store.check_shards()
    except MolcrystError as error:
        return Check(False, f"store of {dataset}: {error}")
    return Check(True, f"store of {dataset}: {len(store):,} graphs, digest {store.digest[:12]}")


def _disk(root: Path) -> Check:
    free = shutil.disk_usage(root).free / 1e9
    return Check(free > _SPARE_GB, f"{free:,.0f} GB free in {root}")
