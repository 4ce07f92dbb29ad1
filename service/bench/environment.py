"""The machine and the programs that figures were measured on."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version

from service.encoders.base import Precision
from service.encoders.embedded import choose_precision, open_core
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


def describe_environment(settings: Settings | None) -> Environment:
    """Describe this machine, and how a service with these settings uses it."""
    num_cpus = os.cpu_count() or 1
    return Environment(
        cpu=str(open_core().get_property("CPU", "FULL_DEVICE_NAME")).strip(),
        num_cpus=num_cpus,
        num_usable_cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else num_cpus,
        load_average=round(os.getloadavg()[0], 2),
        platform=platform.platform(),
        python=platform.python_version(),
        package_versions={name: version(name) for name in _PACKAGES},
        options=None if settings is None else _describe_options(settings),
    )


def _describe_options(settings: Settings) -> ServiceOptions:
    capabilities = open_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    precision = choose_precision(settings.encoder_precision, capabilities=capabilities)
    return ServiceOptions(precision, encoder_threads=settings.encoder_threads, workers=settings.workers)
