"""How a process that trains uses its machine: its memory, and numbers near zero."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch

from molcryst_bench.training.process import without_denormals

FAULTS = """
import resource, torch
from molcryst_bench.training.process import prepare_process
prepare_process(threads=1)
assert torch.get_num_threads() == 1
for count in range(45):
    torch.ones(16 << 20)  # 64 MiB
    if count == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone can keep memory")
@pytest.mark.parametrize(("own", "few"), [({}, True), ({"MALLOC_TRIM_THRESHOLD_": "0"}, False)])
def test_memory_is_kept_unless_the_user_wants_otherwise(own: dict[str, str], few: bool) -> None:
    command = [sys.executable, "-c", FAULTS]
    run = subprocess.run(command, env=os.environ | own, capture_output=True, text=True, check=True)
    of_all = 40 * (64 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert (int(run.stdout) < of_all / 2) == few


TINY = """
import torch
from molcryst_bench.training.process import prepare_process
prepare_process(threads=2)
tiny = torch.full((1 << 20,), 1e-38)  # more than one thread's share
product = tiny * 0.5
tiny.requires_grad_(True)
(0.5 * tiny).sum().mul(1e-38).backward()
print(int(product.count_nonzero()), int(tiny.grad.count_nonzero()))
"""


def test_no_thread_computes_with_denormals() -> None:
    run = subprocess.run([sys.executable, "-c", TINY], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["0", "0"]


@pytest.mark.parametrize("flushed", [False, True])
def test_a_process_that_is_not_ours_gets_its_denormals_back(flushed: bool) -> None:
    smallest = torch.finfo(torch.float32).smallest_normal
    torch.set_flush_denormal(flushed)
    with without_denormals():
        assert not torch.tensor(smallest).mul(0.5)
    assert bool(torch.tensor(smallest).mul(0.5)) != flushed
