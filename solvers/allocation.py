"""Memory that a step frees stays with the process."""

import functools

import torch

# More than a step's temporaries take together; glibc follows pieces up to 32 MiB.
PIECE = 2**24


@functools.cache
def keep_freed_memory() -> None:
    """Have the C library keep what is freed: once in a process, and for good.

    glibc gives freed memory back to the system above a threshold that begins at 128 KiB, and the temporaries of every
    step come back page by page: up to half of its time. Freeing a larger piece raises the threshold to that size
    (mallopt(3), M_MMAP_THRESHOLD), unless the user has set one. No page of the piece is ever touched. Other C libraries
    lose nothing by it.
    """
    torch.empty(PIECE, dtype=torch.uint8)
