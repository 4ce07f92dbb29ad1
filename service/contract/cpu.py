"""Which CPU this is: its name and its class, that is, which arithmetic it has and which figures are its equals."""

import os
import platform
from pathlib import Path

# By the flags of /proc/cpuinfo, the richest class first.
_CLASSES = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX-512 with bf16",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
}
_CPUINFO = Path("/proc/cpuinfo")


def describe_cpu(cpuinfo: Path = _CPUINFO) -> str:
    """Name this CPU and its class, such as ``AMD EPYC (AVX-512 with bf16)``, and the cap of the engine, if any.

    Where the system does not tell, it is named by its architecture.
    """
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set(values.get("flags", "").split())
    found = next((name for flag, name in _CLASSES.items() if flag in flags), platform.machine())
    cap = os.environ.get("ONEDNN_MAX_CPU_ISA")
    return f"{values.get('model name', 'CPU')} ({found}{f', capped at {cap}' if cap else ''})"
