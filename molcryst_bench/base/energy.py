"""Energy that the machine reports: of processors (RAPL) and of NVIDIA's GPUs (NVML)."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

_RAPL = Path("/sys/class/powercap")


def package_joules() -> list[float] | None:
    """Return the counter of each processor, which begins anew now and then.

    None where there is none or it may not be read, as in most containers.
    """
    counters = _rapl_counters()
    try:
        return [int(path.read_text(encoding="ascii")) / 1e6 for path in counters] or None
    except (OSError, ValueError):
        return None


def gpu_joules() -> list[float] | None:
    """Return the counter of each GPU that this process may see; none where there is none."""
    nvml = _nvml()
    if nvml is None:
        return None
    found = []
    for name in _visible_gpus(nvml):
        handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
        if name.isdigit():
            failed = nvml.nvmlDeviceGetHandleByIndex_v2(int(name), ctypes.byref(handle))
        else:
            failed = nvml.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(handle))
        if failed or nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
            return None
        found.append(millijoules.value / 1e3)
    return found or None


@cache
def _rapl_counters() -> list[Path]:
    return sorted(_RAPL.glob("intel-rapl:[0-9]/energy_uj")) if _RAPL.is_dir() else []


@cache
def _nvml() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        return None if library.nvmlInit_v2() else library
    except (OSError, AttributeError):
        return None


def _visible_gpus(nvml: ctypes.CDLL) -> list[str]:
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in chosen.split(",") if name and name != "-1"]
    count = ctypes.c_uint()
    return (
        []
        if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
        else list(map(str, range(count.value)))
    )
