"""Tabulated properties of the elements, and the classes into which a coarse eye sorts them."""

from __future__ import annotations

import torch
from ase.data import atomic_masses, covalent_radii
from torch import Tensor

from molcryst_bench.models.components.composition import ELEMENTS

_CLASSES = (
    (1,),  # H
    (6,),  # C
    (7,),  # N
    (8,),  # O
    (9, 17, 35, 53, 85, 117),  # halogens
    (2, 5, 10, 14, 15, 16, 18, 32, 33, 34, 36, 51, 52, 54, 86, 118),  # other non-metals
)
CLASSES = len(_CLASSES) + 1  # the last is that of the metals


def element_class(device: torch.device) -> Tensor:
    """Return the class of each atomic number: H, C, N, O, halogens, other non-metals, metals."""
    table = torch.full((ELEMENTS,), CLASSES - 1)
    for number, members in enumerate(_CLASSES):
        table[list(members)] = number
    return table.to(device)


def covalent_radius(device: torch.device) -> Tensor:
    """Return the covalent radius of each atomic number in Å, float64 (Cordero et al. 2008)."""
    return torch.as_tensor(covalent_radii[:ELEMENTS], dtype=torch.float64, device=device)


def atomic_mass(device: torch.device) -> Tensor:
    """Return the standard atomic weight of each atomic number in u, float64."""
    return torch.as_tensor(atomic_masses[:ELEMENTS], dtype=torch.float64, device=device)
