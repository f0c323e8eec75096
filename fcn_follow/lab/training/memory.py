"""How glibc's allocator treats the large tensors of a training on a CPU."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


def keep_freed_memory() -> None:
    """Let glibc keep freed memory of any size for the next step; other C libraries stay as they are.

    By default it returns blocks above 32 MiB to the kernel, which must clear their pages again in every step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
