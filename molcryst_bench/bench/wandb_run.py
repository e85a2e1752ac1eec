"""Runs of Weights & Biases that stay on this machine unless the user is logged in."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import wandb

_PROJECT = "molcryst_bench"
_QUIET: dict[str, Any] = {"silent": True, "console": "off"}
_SPARE: dict[str, Any] = {
    "init_timeout": 20.0,  # seconds that a server has to answer
    "finish_timeout": 60.0,  # that an upload may hold up a cell; `wandb sync` sends the rest
    "reinit": "create_new",  # leaves alone a run that the caller may have
    # What describes the person and the machine beyond the cell does not leave it.
    "save_code": False,
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
}


def open_run(folder: Path, run_id: str, config: dict[str, Any], **settings: Any) -> wandb.Run:
    """Begin a run in ``folder/wandb``, or where ``WANDB_DIR`` says.

    It is offline unless the user is logged in, and the server answers; ``WANDB_MODE`` comes before
    that. Nothing is asked or printed.

    Args:
        folder: need not be there.
        run_id: an online run that has it goes on; an offline one was broken off, or is done again,
            and goes.
        config: what decides its numbers.
        settings: more of ``wandb.Settings``.

    Raises:
        Exception: of any kind, if the service does not start or the files cannot be written.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # to its makers; read at the import
    import wandb  # takes a third of a second, which cells that are not tracked save
    from wandb.errors import CommError

    mode, project = _session()
    root = Path(os.environ.get("WANDB_DIR", folder))
    root.mkdir(parents=True, exist_ok=True)
    described = {"root_dir": str(root), "project": project, "run_id": run_id, **settings}
    begin = partial(wandb.init, config=config, settings=wandb.Settings(**_SPARE, **described))
    with _without_complaints_of_its_log():
        if mode == "online":
            try:
                return begin(resume="allow")
            except CommError as error:
                _stay_offline(error)
                mode = "offline"
        for broken_off in root.glob(f"wandb/offline-run-*-{run_id}"):
            shutil.rmtree(broken_off)
        return begin(mode=mode)


@contextmanager
def _without_complaints_of_its_log() -> Iterator[None]:
    """Keep the log of wandb about itself short; where it cannot be written nobody need know."""
    complains, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = complains
        for handler in logging.getLogger("wandb").handlers:
            handler.setLevel(logging.CRITICAL)


def abandon_runs() -> None:
    """End what is left of the session, so that nothing waits or complains at the very end."""
    import wandb

    with suppress(Exception):
        wandb.teardown(exit_code=1)


def _session() -> tuple[Literal["online", "offline", "disabled"], str]:
    """Begin a quiet session; return whether runs go online, and to which project."""
    import wandb

    chosen = wandb.setup(wandb.Settings(**_QUIET)).settings
    project = chosen.project or _PROJECT
    if chosen.mode == "disabled":
        return "disabled", project
    wanted = chosen.mode not in ("offline", "dryrun")
    return "online" if wanted and wandb.login(prompt=False, verify=False) else "offline", project


def _stay_offline(error: Exception) -> None:
    """Do not wait again and again for a server that does not answer."""
    import wandb

    wandb.teardown(exit_code=1)
    wandb.setup(wandb.Settings(mode="offline", **_QUIET))
    reason = " ".join(str(error).split())
    message = f"Weights & Biases cannot be reached ({reason}); runs are kept on this machine"
    warnings.warn(f"{message} and can be sent later with 'wandb sync'", stacklevel=2)
