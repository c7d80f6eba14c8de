"""A step's temporaries do not come from the system again and again."""

import platform
import subprocess
import sys

import pytest

# In a fresh process, whose allocator nobody has warmed up.
STEPS = """
import resource, torch
from rollwave.solvers import ETDRK4, Grid, KuramotoSivashinsky
from rollwave.solvers.run import run
torch.set_num_threads(1)
grid = Grid((1024,), (350.0,))
scheme, u = ETDRK4(KuramotoSivashinsky(), grid, 0.05), torch.sin(grid.coordinates()[0]).repeat(64, 1, 1) / 10
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
run(scheme, u, 10, 1)
before = faults()
run(scheme, u, 100, 1)
print((faults() - before) / 100)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="counts what glibc takes from the system")
def test_steps_take_no_memory_from_the_system() -> None:
    """Hundreds of pages a step otherwise: a field of this block alone has 128."""
    found = subprocess.run([sys.executable, "-c", STEPS], check=True, capture_output=True, text=True)
    assert float(found.stdout) < 40
