"""The memory of this process."""

import ctypes


def give_back() -> None:
    """Give the kernel what is free between things that are in use; repeating it is safe.

    The allocator keeps it otherwise, and a stream of pieces of many sizes leaves more and more of it. Does nothing with
    a C library that has no ``malloc_trim(3)``.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
