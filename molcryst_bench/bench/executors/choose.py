"""Finding the site that settings or the command line name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.base.project import project_root
from molcryst_bench.base.settings import read_yaml
from molcryst_bench.bench.executors.blocks import LocalBlocks
from molcryst_bench.bench.executors.mpi import Mpi
from molcryst_bench.bench.executors.processes import Processes
from molcryst_bench.bench.executors.schedulers import Kubernetes, Pbs, Slurm
from molcryst_bench.bench.executors.site import Site

KINDS: dict[str, type[Site]] = {
    "processes": Processes,
    "local": LocalBlocks,
    "slurm": Slurm,
    "pbs": Pbs,
    "kubernetes": Kubernetes,
    "mpi": Mpi,
}


class Chosen(NamedTuple):
    """A site and the name it goes by."""

    name: str
    site: Site


def list_sites() -> list[str]:
    """Return the names of the sites in ``conf/executors``."""
    return sorted(path.stem for path in (project_root() / "conf/executors").glob("*.yaml"))


def load_site(name: str) -> Site:
    """Read a site from ``conf/executors/<name>.yaml``, or from a file anywhere.

    Raises:
        SettingsError: naming the file, the wrong key and what is wrong with it.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        if name not in list_sites():
            raise SettingsError(unknown_name("executor", name, list_sites()))
        path = project_root() / "conf/executors" / f"{name}.yaml"
    return _parse(read_yaml(path), str(path))


def choose_site(name: str | None, workers: int | None, threads: int, count: int) -> Chosen:
    """Return the site to run on.

    Args:
        name: of a file; none for processes on this machine.
        workers: in place of the site's own number, where it has one.
        threads: of each process on this machine.
        count: of processes on this machine.
    """
    if name is None:
        wanted = workers or count
        return Chosen(f"{wanted} processes", Processes(workers=wanted, threads=threads))
    site = load_site(name)
    if workers is not None:
        if not isinstance(site, Processes | Mpi):
            raise SettingsError(f"--workers is not for {name}: it says how many by itself")
        site = site.model_copy(update={"workers": workers})
    return Chosen(name, site)


def _parse(content: Any, where: str) -> Site:
    if not isinstance(content, dict):
        raise SettingsError(f"{where}: this is no mapping of keys to values")
    kind = content.get("kind")
    if kind is None:
        raise SettingsError(f"{where}: the key 'kind' is missing; known: {', '.join(KINDS)}")
    if kind not in KINDS:
        raise SettingsError(f"{where}: {unknown_name('kind', str(kind), KINDS)}")
    return KINDS[kind].parse(content, where)
