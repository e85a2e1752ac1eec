"""Dynamics of ethanol with TorchMD-NET: steps per second, in ASE and as batches of replicas.

Weights are random and forces scaled down, so that atoms hardly move: what a step takes does not
depend on them, but that neighbours are searched once, where at 500 K it is once in some hundreds
of steps.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.calculator import Calculator
from ase.md.verlet import VelocityVerlet as AseVerlet
from torch import nn
from torchmdnet.calculators import TMDNETCalculator

from benchmarks.compare import Row, compare
from benchmarks.torchmd_net import BASIS, CUTOFF, HEADS, LAYERS, WIDTH, reference_settings
from molcryst_bench.dynamics.motion import Motion, VelocityVerlet
from molcryst_bench.dynamics.run import run_dynamics
from molcryst_bench.dynamics.settings import RunSettings
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.models.registry import create_model
from molcryst_bench.training.checkpoint import ModelCard
from molcryst_bench.training.force_field import LearnedForceField
from molcryst_bench.training.predict import Predictor
from molcryst_bench.training.regressor import Regressor
from molcryst_bench.training.settings import TrainingSettings

PUBLISHED = {"width": WIDTH, "layers": LAYERS, "heads": HEADS, "basis": BASIS, "cutoff": CUTOFF}
QUICK = {"width": 64, "layers": 2, "basis": 32, "cutoff": CUTOFF}  # as in the profile
REPLICAS = 32
_TIME_STEP = 0.1  # fs
_STEPS = 50  # in a round
_BATCH_STEPS = 10  # in a round of many replicas
_WHOLE = 100_000  # steps
_TIMED = 1_000  # of these
_ASKED = 600.0  # seconds for all
_PEER = "the calculator of torchmd-net 3.1 for ASE, with the same sizes"


def rows() -> list[Row]:
    """Return the rows on dynamics."""
    return [
        _in_ase(compiled=False),
        _in_ase(compiled=True),
        _replicas("published sizes", PUBLISHED, compiled=False),
        _replicas("published sizes", PUBLISHED, compiled=True),
        _replicas("sizes of the quick profile", QUICK, compiled=False),
        _ten_picoseconds(),
    ]


def predictor(sizes: dict[str, Any]) -> Predictor:
    """Return a model of ethanol that nobody has trained; its forces are small."""
    torch.manual_seed(0)
    regressor = Regressor(create_model("torchmd_net", smooth=True, **sizes))
    regressor.scaler.scale.fill_(1e-3)
    card = ModelCard(
        model="torchmd_net",
        hyperparameters=sizes,
        task="xtb/ethanol",
        unit="eV",
        forces_unit="eV/Å",
        graph=GraphSpec(cutoff=CUTOFF),
        elements=[1, 6, 8],
        seed=0,
        training=TrainingSettings(),
        split="",
        store_digest="",
        split_digest="",
    )
    return Predictor([regressor.eval()], card)


def _in_ase(compiled: bool) -> Row:
    ours = predictor(PUBLISHED).calculator(compile=compiled)
    theirs = _reference()
    return compare(
        f"Dynamics of one ethanol in ASE, {'compiled' if compiled else 'the'} calculator",
        _PEER,
        "steps/s",
        _STEPS,
        _steps_in_ase(ours),
        _steps_in_ase(theirs),
        limit=lambda rate: f"{1e3 / rate:.2f} ms a step, ASE's integrator included",
    )


def _steps_in_ase(calculator: Calculator) -> Callable[[], object]:
    atoms = _ethanol()
    atoms.calc = calculator
    return partial(AseVerlet(atoms, timestep=_TIME_STEP * units.fs).run, _STEPS)


def _reference() -> Calculator:
    """Return their calculator, which reads a checkpoint.

    Its option to compile fails on this architecture: the neighbour embedding branches on values of
    a tensor, which a compiler of whole graphs cannot follow.
    """
    settings = reference_settings(derivative=False)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        path = Path(folder) / "reference.ckpt"
        weights = reference_model(settings).state_dict()
        torch.save({"hyper_parameters": settings, "state_dict": weights}, path)
        return TMDNETCalculator(str(path))


def reference_model(settings: dict[str, Any]) -> nn.Module:
    """Return their model with forces as small as ours."""
    from torchmdnet.models.model import create_model as create_reference

    model: nn.Module = create_reference(settings)
    with torch.no_grad():
        for weights in model.output_model.parameters():
            weights.mul_(0.1)
    return model


def _replicas(name: str, sizes: dict[str, Any], compiled: bool) -> Row:
    """Time replicas on two threads against one, which is too small to have a use for the second."""
    found = predictor(sizes)
    with _threads(2):
        many, one = found.force_field(), found.force_field(compile=compiled)
        return compare(
            f"{REPLICAS} replicas of ethanol on two threads, {name}",
            f"one replica of the same model, {'compiled' if compiled else 'not compiled'}",
            "replica steps/s",
            _BATCH_STEPS * REPLICAS,
            _steps_of(many, REPLICAS, _BATCH_STEPS),
            _steps_of(one, 1, _STEPS),
            limit=lambda rate: f"{1e6 / rate:.0f} microseconds a replica and step",
            their_work=_STEPS,
        )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _steps_of(field: LearnedForceField, replicas: int, steps: int) -> Callable[[], object]:
    atoms = _ethanol()
    positions = np.tile(atoms.positions, (replicas, 1, 1))
    field.start(atoms)
    motion = Motion.begin(positions, np.zeros_like(positions), field)
    integrator = VelocityVerlet(field, atoms.get_masses(), _TIME_STEP)

    def run() -> None:
        for _ in range(steps):
            integrator.step(motion, [])

    return run


def _ten_picoseconds() -> Row:
    """Time a part of the run with all that belongs to it, such as frames on disk."""
    field = predictor(PUBLISHED).force_field(compile=True)
    _steps_of(field, 1, 1)()  # compiles
    settings = RunSettings(steps=_TIMED, time_step=_TIME_STEP, temperature=0)

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            run_dynamics(Path(folder), _ethanol(), field, settings)

    row = compare(
        "10 ps of one ethanol by `molcryst md --compile`",
        f"{_WHOLE:,} steps in the ten minutes that they may take",
        "steps/s",
        _TIMED,
        run,
        lambda: None,
        limit=lambda rate: f"{_WHOLE / rate:.0f} s for all, from {_TIMED:,} steps",
        rounds=3,
    )
    asked = _WHOLE / _ASKED
    spread = [row.ours / asked] * 2
    return Row(**{**vars(row), "theirs": asked, "ratio": row.ours / asked, "ratio_range": spread})


def _ethanol() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=0)
    atoms.info["charge"] = 0  # which their calculator wants to be told
    return atoms
