"""What this machine's processor can do, and the precision that follows from it."""

import functools
from pathlib import Path
from typing import Literal

Precision = Literal["float32", "bfloat16", "int8"]

#: Flags of processors that multiply bfloat16 in hardware (x86, x86 with tiles, Arm).
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def resolve_precision(asked: str) -> Precision:
    """Settle `auto`: bfloat16 where the processor multiplies it in hardware, else float32."""
    if asked == "auto":
        return "bfloat16" if _BFLOAT16_FLAGS & processor_flags() else "float32"
    return "bfloat16" if asked == "bfloat16" else "int8" if asked == "int8" else "float32"


@functools.cache
def processor_flags() -> frozenset[str]:
    """The processor's features as Linux names them; none where it does not say."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    named = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(named, "").split())
