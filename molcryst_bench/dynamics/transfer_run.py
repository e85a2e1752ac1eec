"""One run of the transfer benchmark: dynamics of a molecule with a trained model, and its score."""

from __future__ import annotations

import shutil
import time
import warnings

import numpy as np

from molcryst_bench.base.errors import RunError, StoppedError
from molcryst_bench.base.locks import exclusive
from molcryst_bench.dynamics.molecules import structure_of
from molcryst_bench.dynamics.record import ForceErrors, TransferScore, write_score
from molcryst_bench.dynamics.reference import Reference, read_reference
from molcryst_bench.dynamics.run import run_dynamics
from molcryst_bench.dynamics.score import best_score, run_facts, score_classes, transfer_score
from molcryst_bench.dynamics.settings import RunSettings
from molcryst_bench.dynamics.trajectory import Trajectory, read_trajectory
from molcryst_bench.dynamics.transfer_plan import TransferPlan
from molcryst_bench.dynamics.transfers import finished_transfer
from molcryst_bench.sources.record import BadRecordError
from molcryst_bench.training.predict import Predictor, load_predictor

_MOST_FRAMES = 500  # whose forces are compared
_FRAMES = "frames"  # folders of runs that have no score yet


def run_transfer(plan: TransferPlan) -> TransferScore:
    """Do a run, or find that another worker has done so meanwhile.

    Frames are written in chunks, so that a run that was killed goes on; they are removed when the
    score is there. A model that cannot compute the molecule at all has a score that says why.
    """
    with exclusive(plan.lock):
        score = finished_transfer(plan)
        if score is None:
            score = _score(plan)
            write_score(plan.folder, score)
            for path in plan.folder.glob(f"{_FRAMES}-*"):
                shutil.rmtree(path, ignore_errors=True)
        return score


def _score(plan: TransferPlan) -> TransferScore:
    begin = time.perf_counter()
    blank = TransferScore(
        task=plan.task.name,
        model=plan.cell.model,
        seed=plan.cell.seed,
        molecule=plan.molecule,
        key=plan.key,
        time_step=plan.settings.time_step,
        length=plan.settings.length,
    )
    try:
        with warnings.catch_warnings(action="ignore"):  # that the molecule is strange is the point
            found = _found(plan)
    except StoppedError:
        raise
    except (BadRecordError, RunError) as error:
        found = {"problem": str(error)}
    return blank.model_copy(update={**found, "seconds": time.perf_counter() - begin})


def _found(plan: TransferPlan) -> dict[str, object]:
    """Run the molecule and compare it with the reference."""
    start = structure_of(plan.molecule)
    predictor = load_predictor(plan.model_folder)
    reference = read_reference(plan.store, plan.task, plan.molecule)
    run = _simulated(plan, predictor)
    classes = tuple(score_classes(run, start, reference))
    facts = run_facts(run, plan.settings.length)
    found = {
        **facts,
        "classes": classes,
        "score": transfer_score(classes, float(np.asarray(facts["survival"]))),
        "best": best_score(classes),
    }
    return found if reference is None else found | _compared(plan, predictor, reference)


def _simulated(plan: TransferPlan, predictor: Predictor) -> Trajectory:
    """Run the molecule, or go on where another process ended."""
    folder = plan.folder / f"{_FRAMES}-{plan.key[:12]}"
    how = plan.settings
    settings = RunSettings(
        steps=how.steps,
        time_step=how.time_step,
        temperature=how.temperature,
        replicas=how.replicas,
        seed=plan.cell.seed,
        equilibration=how.equilibration,
        every=how.every,
    )
    run_dynamics(folder, structure_of(plan.molecule), predictor.force_field(), settings)
    return read_trajectory(folder)


def _compared(plan: TransferPlan, predictor: Predictor, reference: Reference) -> dict[str, object]:
    return {
        "reference": reference.words,
        "reference_frames": len(reference.positions),
        "forces": _force_errors(plan, predictor, reference),
    }


def _force_errors(plan: TransferPlan, predictor: Predictor, of: Reference) -> ForceErrors | None:
    """Compare forces on at most 500 frames, evenly chosen of those that were not trained on."""
    definition = plan.task.forces_definition
    rows = np.flatnonzero(of.unseen)
    if definition is None or not rows.size:
        return None
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, _MOST_FRAMES).round().astype(int))]
    predicted = predictor.energies_and_forces(of.structures_at(rows)).forces
    truth = of.forces[rows]
    errors = np.abs(np.array(predicted) - truth).mean()
    factor = definition.error_factor
    size = np.abs(truth).mean()
    return ForceErrors(
        unit=definition.error_unit,
        mae=float(errors * factor),
        size=float(size * factor),
        frames=len(rows),
    )
