"""Memory that was freed and that malloc keeps, given back to the system.

An engine on a processor frees pieces of every size at each step, between others that stay, and a
worker those of many threads. By itself glibc's malloc gives free pages back only at the end of a
heap, so that what it keeps grows for tens of thousands of requests.
"""

import ctypes


def trim_memory() -> None:
    """Give free pages back, wherever they lie; nothing where the C library is not glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class MemoryTrimExtension:
    """What vLLM's own worker class is extended by, so that it can be told to."""

    def trim_memory(self) -> None:
        """Give free pages of this process back."""
        trim_memory()
