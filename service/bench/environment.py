"""The machine and the programs that figures were measured on."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version

from service.contract.cpu import describe_cpu
from service.contract.engine import choose_precision
from service.contract.precision import Precision
from service.settings import Settings

_PACKAGES = ("duoact", "openvino", "av", "numpy", "tokenizers", "fastapi", "uvicorn")


@dataclass(frozen=True)
class ServiceOptions:
    """How the measured service uses the machine; 0 encoder threads means all cores."""

    precision: Precision
    encoder_threads: int
    workers: int


@dataclass(frozen=True)
class Environment:
    """Where the measurement ran.

    ``cpu`` also names the class, the arithmetic that the CPU has.
    ``load_average`` is that of the minute before it began: other programs that keep the cores busy slow it down.
    ``options`` are None where the service was not started by the measurement.
    """

    cpu: str
    num_cpus: int
    num_usable_cpus: int
    load_average: float
    platform: str
    python: str
    package_versions: dict[str, str]
    options: ServiceOptions | None


def describe_machine(settings: Settings | None) -> Environment:
    """Describe this machine, and how a service with these settings uses it."""
    num_cpus = os.cpu_count() or 1
    return Environment(
        cpu=describe_cpu(),
        num_cpus=num_cpus,
        num_usable_cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else num_cpus,
        load_average=round(os.getloadavg()[0], 2),
        platform=platform.platform(),
        python=platform.python_version(),
        package_versions={name: version(name) for name in _PACKAGES},
        options=None if settings is None else _describe_options(settings),
    )


def _describe_options(settings: Settings) -> ServiceOptions:
    precision = choose_precision(settings.encoder_precision, graph="video_encoder")
    return ServiceOptions(precision, encoder_threads=settings.encoder_threads, workers=settings.workers)
