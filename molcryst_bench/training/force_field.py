"""A trained model as a force field for dynamics: lean, since it is called at every step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from itertools import pairwise
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from ase import Atoms, units
from torch import Tensor
from torch_geometric.data import Batch

from molcryst_bench.base.errors import RunError
from molcryst_bench.graphs.separable import separable_batch
from molcryst_bench.graphs.verlet import SKIN, Pairs, VerletList
from molcryst_bench.models.compiled import CompiledEnergyAndForces
from molcryst_bench.models.forces import EnergyForces, energy_and_forces, energy_forces_stress
from molcryst_bench.models.interface import GradientModel
from molcryst_bench.models.registry import get_model_class
from molcryst_bench.training.extrapolation import Extrapolation
from molcryst_bench.training.predict import Predictor, told
from molcryst_bench.training.process import without_denormals
from molcryst_bench.training.regressor import Regressor

Precision = Literal["float32", "float64"]
_GROUP = 128  # atoms: below, calls of operators take the time, and they wait for each other
_EV: dict[str, float] = {
    "eV": 1.0,
    "meV": 1e-3,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
    "hartree": units.Hartree,
}


class Evaluation(NamedTuple):
    """Energies and forces of replicas of one structure."""

    energies: np.ndarray  # (replicas,) float64 eV
    forces: np.ndarray  # (replicas, atoms, 3) float64 eV/Å


class LearnedForceField:
    """Energies, forces and stress of replicas of one structure, in eV and Å.

    An ensemble gives the mean of its models. Many replicas are computed on a CPU in groups, as many
    at once as torch has threads; the groups do not depend on the number of threads.

    Args:
        predictor: of a model that was trained with forces.
        precision: of the model; positions come and forces go in float64 either way.
        device: where to compute; that of the predictor by default.
        compile: whether to compile models, which takes a minute or two at the first call and makes
            steps of one small molecule about twice as fast. Many replicas are not compiled: there
            it does not pay.
        skin: of the neighbour lists in Å.

    Raises:
        RunError: if the model was trained without forces, is a baseline that has none, or its unit
            is not one of energy.
    """

    extrapolation: Extrapolation

    def __init__(
        self,
        predictor: Predictor,
        precision: Precision = "float32",
        device: str | torch.device | None = None,
        compile: bool = False,
        skin: float = SKIN,
    ) -> None:
        predictor.check_forces()
        if not issubclass(get_model_class(predictor.card.model), GradientModel):
            problem = f"the energy of {predictor.card.model} is no smooth function of positions"
            raise RunError(f"{problem}: choose a model that has forces, not a baseline")
        if predictor.unit not in _EV:
            raise RunError(f"energies in {predictor.unit} cannot be turned into eV")
        self.card = predictor.card
        self.precision: Precision = precision
        self.device = predictor.device if device is None else torch.device(device)
        self.skin = skin
        self._dtype = {"float32": torch.float32, "float64": torch.float64}[precision]
        self._members = [_Member(each, self, compile) for each in predictor.members]
        self._structure: Atoms | None = None
        self._neighbors: VerletList
        self._groups: list[Batch] = []
        self._pool = ThreadPoolExecutor(
            torch.get_num_threads(), "forces", torch.set_num_threads, (1,)
        )

    @property
    def factor(self) -> float:
        """What one unit of the model's energy is in eV."""
        return _EV[self.card.unit]

    def description(self) -> dict[str, Any]:
        """Return which model this is, and how it is computed."""
        return {
            "kind": "learned",
            "model": self.card.model,
            "task": self.card.task,
            "members": [each.digest for each in self._members],
            "unit": self.card.unit,
            "precision": self.precision,
        }

    def start(self, structure: Atoms) -> None:
        """Take the structure that all replicas have, and forget the path of the atoms so far.

        Raises:
            BadRecordError: if ``info`` holds what is no number where the model wants one.
        """
        known = self._structure
        if known is None or not _alike(known, structure):
            self._structure = structure.copy()
            self.extrapolation = Extrapolation(self.card, structure)
        self._neighbors = VerletList(structure, self.card.graph, self.skin)
        self._groups = []
        for member in self._members:
            member.forget()

    @without_denormals()
    def __call__(self, positions: np.ndarray) -> Evaluation:
        """Return energies and forces at positions (replicas, atoms, 3) in Å.

        Raises:
            BadRecordError: if a coordinate is not finite or absurd.
        """
        groups = self._groups_at(positions)
        found = [self._of_member(member, groups) for member in self._members]
        return Evaluation(*self._mean(found, positions.shape))

    def _of_member(self, member: _Member, groups: list[Batch]) -> EnergyForces:
        if len(groups) == 1:
            return member.energy_and_forces(groups[0])
        parts = self._pool.map(member.plain_energy_and_forces, groups)
        return EnergyForces(*map(torch.cat, zip(*parts, strict=True)))

    @without_denormals()
    def with_stress(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return energies, forces and the stress (replicas, 3, 3) in eV/Å^3, of crystals.

        Raises:
            BadRecordError: if a coordinate is not finite or absurd.
        """
        (batch,) = self._groups_at(positions, whole=True)
        found = [member.energy_forces_stress(batch) for member in self._members]
        energies, forces = self._mean([each[0] for each in found], positions.shape)
        stress = torch.stack([each[1] for each in found]).mean(0) * self.factor
        return energies, forces, stress.cpu().numpy()

    def _mean(
        self, found: list[EnergyForces], shape: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        if len(found) == 1:
            energy, forces = found[0]
        else:
            energy, forces = (torch.stack(each).mean(0) for each in zip(*found, strict=True))
        scaled = (energy * self.factor).cpu().numpy(), (forces * self.factor).cpu().numpy()
        return scaled[0], scaled[1].reshape(shape)

    def _groups_at(self, positions: np.ndarray, whole: bool = False) -> list[Batch]:
        """Return the graphs at new positions; tensors that have not changed are used again."""
        near = self._neighbors(positions)
        self.extrapolation.look(near.pairs.sender, near.pairs.receiver, near.distance)
        bounds = self._bounds(positions, whole)
        if not near.same or len(self._groups) != len(bounds) - 1:
            self._groups = list(self._new_groups(near.pairs, bounds))
        # Where a molecule is does not matter, and digits are for what does.
        centred = torch.from_numpy(positions - positions.mean(1, keepdims=True))
        centred = centred.to(self.device, self._dtype)
        for batch, (first, end) in zip(self._groups, pairwise(bounds), strict=True):
            batch.pos = centred[first:end].reshape(-1, 3)
        return self._groups

    def _bounds(self, positions: np.ndarray, whole: bool) -> list[int]:
        """Return the first replica of each group, and the number of replicas."""
        replicas, atoms = positions.shape[:2]
        one = whole or self.device.type != "cpu"
        groups = 1 if one else min(replicas, max(1, round(replicas * atoms / _GROUP)))
        return [replicas * group // groups for group in range(groups + 1)]

    def _new_groups(self, pairs: Pairs, bounds: list[int]) -> Iterator[Batch]:
        assert self._structure is not None
        atoms, rows = len(self._structure), np.searchsorted(pairs.replica, bounds)
        ends = zip(pairwise(bounds), pairwise(rows), strict=True)
        for (first, last), (start, stop) in ends:
            part = pairs.part(slice(start, stop), first, atoms)
            yield self._new_batch(part, last - first)

    def _new_batch(self, pairs: Pairs, replicas: int) -> Batch:
        structure = self._structure
        assert structure is not None
        atoms = len(structure)
        symmetric = self.card.graph.symmetric
        graph = np.repeat(np.arange(replicas), atoms)
        node_ptr = np.arange(replicas + 1) * atoms
        edges = np.bincount(pairs.replica, minlength=replicas) * (2 if symmetric else 1)
        content: dict[str, Any] = {
            "z": torch.from_numpy(np.tile(structure.numbers.astype(np.int64), replicas)),
            "pos": torch.empty(0, 3),
            "edge_index": torch.from_numpy(_edge_index(pairs, symmetric)),
            "batch": torch.from_numpy(graph),
            "ptr": torch.from_numpy(node_ptr),
            "symmetric": symmetric,
            "targets": {},
        }
        content |= self._of_cells(pairs, replicas) if structure.pbc.any() else {}
        content |= self._features(structure, replicas)
        batch = separable_batch(content, node_ptr, np.concatenate([[0], np.cumsum(edges)]))
        return batch.to(self.device)

    def _of_cells(self, pairs: Pairs, replicas: int) -> dict[str, Tensor]:
        assert self._structure is not None
        cell = torch.from_numpy(np.tile(self._structure.cell.array, (replicas, 1, 1)))
        shift = pairs.shift
        if self.card.graph.symmetric:
            shift = np.stack([shift, -shift], axis=1).reshape(-1, 3)
        return {"cell": cell.to(self._dtype), "edge_shift": torch.from_numpy(shift.astype(np.int8))}

    def _features(self, structure: Atoms, replicas: int) -> dict[str, Tensor]:
        if not self.card.features:
            return {}
        row = [told(structure, name) for name, _ in self.card.features]
        return {"features": torch.tensor([row] * replicas, dtype=torch.float64)}


class _Member:
    """One model of its own, in the precision and at the place of the force field."""

    def __init__(self, regressor: Regressor, field: LearnedForceField, compile: bool) -> None:
        self.digest = _digest(regressor)
        own = deepcopy(regressor).eval().requires_grad_(False)
        self.model = cast(GradientModel, own.model.to(field.device, field._dtype))
        self.scaler = own.scaler.to(field.device)
        self._compiled = CompiledEnergyAndForces(self.model) if compile else None
        self._baseline: Tensor | None = None

    def forget(self) -> None:
        """Be ready for another structure."""
        self._baseline = None

    def energy_and_forces(self, batch: Batch) -> EnergyForces:
        """Return energies (graphs,) and forces (nodes, 3) in float64, in the unit of the model."""
        if self._compiled is None:
            return self.plain_energy_and_forces(batch)
        return self._restored(self._compiled(batch), batch)

    def plain_energy_and_forces(self, batch: Batch) -> EnergyForces:
        """Return the same from the model that is not compiled."""
        return self._restored(energy_and_forces(self.model, batch), batch)

    def energy_forces_stress(self, batch: Batch) -> tuple[EnergyForces, Tensor]:
        """Return the same, with the stress (graphs, 3, 3)."""
        energy, forces, stress = energy_forces_stress(self.model, batch)
        found = self._restored(EnergyForces(energy, forces), batch)
        return found, stress.double() * self.scaler.scale

    def _restored(self, found: EnergyForces, batch: Batch) -> EnergyForces:
        scale = self.scaler.scale
        energy = found.energy.double() * scale + self._baseline_of(batch)
        return EnergyForces(energy, found.forces.double() * scale)

    def _baseline_of(self, batch: Batch) -> Tensor:
        """Return what the elements alone explain, (1,): they are the same in all replicas."""
        if self._baseline is None:
            zero = torch.zeros(batch.num_graphs, dtype=torch.float64, device=batch.z.device)
            self._baseline = self.scaler.restore(zero, batch)[:1]
        return self._baseline


def _edge_index(pairs: Pairs, symmetric: bool) -> np.ndarray:
    """Return (2, edges), the reverse of each edge next to it where the list has both."""
    ends = np.stack([pairs.sender, pairs.receiver])  # (2, pairs)
    if not symmetric:
        return ends
    return np.stack([ends, ends[::-1]], axis=2).reshape(2, -1)


def _alike(one: Atoms, other: Atoms) -> bool:
    """Return whether two structures differ at most in their positions."""
    alike = len(one) == len(other) and (one.numbers == other.numbers).all()
    return bool(
        alike and (one.pbc == other.pbc).all() and np.array_equal(one.cell.array, other.cell.array)
    )


def _digest(regressor: Regressor) -> str:
    """Return the SHA-256 of all weights with their names and of the hyperparameters."""
    digest = hashlib.sha256()
    settings = regressor.model.hyperparameters.model_dump(mode="json")
    digest.update(json.dumps([type(regressor.model).__name__, settings], sort_keys=True).encode())
    for name, values in sorted(regressor.state_dict().items()):
        digest.update(name.encode() + values.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
