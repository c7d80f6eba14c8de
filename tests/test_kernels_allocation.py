"""A training step's fields do not come from the system again and again."""

import platform
import subprocess
import sys

import pytest

# In a fresh process, whose allocator nobody has told anything.
STEPS = """
import resource, sys, torch
from rollwave.kernels import keep_freed_memory
from rollwave.operators import FNO
torch.set_num_threads(1)
kept = "keep" in sys.argv and keep_freed_memory()
operator, u = FNO(1, 1, width=32, modes=(8,)), torch.randn(8, 1, 1024)
def step():
    operator.zero_grad()
    operator(u).square().mean().backward()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(12): step()
before = faults()
for _ in range(12): step()
print((faults() - before) / 12 if kept or "keep" not in sys.argv else "refused")
"""


def pages(*arguments: str) -> float:
    command = [sys.executable, "-c", STEPS, *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="counts what glibc takes from the system")
def test_a_step_takes_no_memory_from_the_system_once_it_is_asked_to_keep_it() -> None:
    """A hidden field alone has 256 pages, and a step makes dozens of them."""
    assert pages("keep") < 256 < pages()
