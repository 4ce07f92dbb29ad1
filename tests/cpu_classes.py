"""Classes of CPU that a machine can be made to look like, from its own down, and what a test of them needs.

A test that depends on the class bears the marker ``cpu_class`` and goes through all that can be forced. A class above
that of the machine cannot be; there the cap changes nothing.
"""

import ctypes
import os
from pathlib import Path

import numpy as np

# Of oneDNN inside OpenVINO; bf16 needs AVX-512. Below AVX-512 its layer norms crash on a CPU that has it where they are
# over a number of channels that is no multiple of 16: those of a tower are, those of the tests' tiny side network not.
ENGINE_CAPS = ("AVX2", "AVX512_CORE", "AVX512_CORE_BF16")


def drawing_environments() -> dict[str, dict[str, str]]:
    """Name environments in which numpy, its matrix products and the C library compute as on lesser classes."""
    found: list[str] = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    environments = {"this CPU": os.environ.copy()}
    for position, name in enumerate(found):
        environments[f"below {name}"] = os.environ | {
            "NPY_DISABLE_CPU_FEATURES": " ".join(found[position:]),
            "OPENBLAS_CORETYPE": "Prescott",
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA",
        }
    return environments


def forget_instructions_of_ffmpeg() -> None:
    """Let FFmpeg run its portable code in this process; PyAV must have been imported."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    [library] = {line.split()[-1] for line in maps.splitlines() if "libavutil" in line}
    ctypes.CDLL(library).av_force_cpu_flags(0)
