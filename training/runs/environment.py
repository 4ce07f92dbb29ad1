"""What a run was made with: commit, package versions and hardware, for the records beside its weights."""

import os
import platform
import resource
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from service.contract.cpu import describe_cpu

_PACKAGES = ("duoact", "torch", "open_clip_torch", "accelerate", "numpy", "av", "tokenizers", "safetensors")


def describe_environment() -> dict[str, Any]:
    """Describe the program and the machine."""
    return {
        "git_commit": read_git_commit(),
        "package_versions": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else describe_cpu(),
        "num_cpus": os.cpu_count(),
        "num_threads": torch.get_num_threads(),
    }


def read_git_commit() -> str | None:
    """Return the commit of the checkout this package runs from, or None outside of one."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def read_peak_memory() -> int:
    """Return the most memory that this process held at once, in bytes: of the GPU where there is one, else of all."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kibibytes * 1024
