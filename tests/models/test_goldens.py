"""Recorded predictions and forces: a change of library or code that changes numbers is seen here.

Each file of ``goldens/`` has the name of a model, hyperparameters, and what a model with weights
from a fixed generator says of two molecules and a crystal. After a change that is meant, write them
again with ``python tests/models/test_goldens.py`` and look at the difference.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ase.build import bulk, molecule

FOLDER = Path(__file__).parent / "goldens"


def measure(golden: dict[str, Any]) -> dict[str, Any]:
    from batches import batch_of
    from plain_loops import random_model

    from molcryst_bench.models.forces import energy_and_forces

    crystal = bulk("NaCl", "rocksalt", a=5.0)
    crystal.positions[1, 0] += 0.2
    model = random_model(golden["model"], **golden["hyperparameters"])
    batch = batch_of([molecule("CH3CH2OH"), molecule("H2O"), crystal])
    result = energy_and_forces(model, batch)
    return {
        "model": golden["model"],
        "hyperparameters": golden["hyperparameters"],
        "energy": result.energy.tolist(),
        "forces_of_water": result.forces[9:12].tolist(),
        "forces_of_crystal": result.forces[12:].tolist(),
    }


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_numbers_are_those_recorded(path: Path) -> None:
    recorded = json.loads(path.read_text())
    measured = measure(recorded)
    for key in ("energy", "forces_of_water", "forces_of_crystal"):
        expected = torch.tensor(recorded[key], dtype=torch.float64)
        result = torch.tensor(measured[key], dtype=torch.float64)
        assert expected.abs().max() > 1e-4, "nothing recorded"
        torch.testing.assert_close(result, expected, rtol=1e-9, atol=1e-9)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    for file in sorted(FOLDER.glob("*.json")):
        file.write_text(json.dumps(measure(json.loads(file.read_text())), indent=1) + "\n")
