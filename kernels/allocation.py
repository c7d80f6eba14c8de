"""Memory that a training step frees stays with the process."""

import ctypes
import functools
import platform

# Of mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Pieces up to this size come from the heap.
PIECE = 2**30
NEVER = 2**31 - 1


@functools.cache
def keep_freed_memory() -> bool:
    """Have the C library keep what is freed, once in a process and for good; whether it could.

    glibc returns large pieces to the system as soon as they are freed, and every step gets its fields back page by
    page: at 128^2 points that was three quarters of a step. With this the process stays at its peak. Only glibc is
    known to take the hint; `train.py` gives it for runs on a CPU.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_THRESHOLD, PIECE)) and bool(mallopt(M_TRIM_THRESHOLD, NEVER))
