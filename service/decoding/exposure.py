"""Who may send videos to workers that lack the filter of system calls: those on this machine, and nobody else."""

import ipaddress

import structlog

from service.decoding.sandbox import SandboxReport
from service.settings import SettingsError

_ADVICE = "install libseccomp (Debian: libseccomp2, with a kernel that has seccomp)"
_logger = structlog.get_logger(__name__)


def check_exposure(report: SandboxReport, *, address: str) -> None:
    """Let a service listen on an address whose workers are guarded so.

    Without the filter a worker that a video takes over could do whatever the service may, so that only the loopback
    address is served, with a warning.

    Raises:
        SettingsError: others could reach the service, and its workers have no filter.
    """
    if report.filters_system_calls:
        return
    lacking = "; ".join(report.problems) or "no filter of system calls"
    if not ipaddress.ip_address(address).is_loopback:
        raise SettingsError(
            f"the service would listen on {address}, and decode the videos of strangers without a filter of system "
            f"calls ({lacking}): {_ADVICE}, or serve this machine alone with --host 127.0.0.1"
        )
    _logger.warning("videos are decoded without a filter of system calls", lacking=lacking, advice=_ADVICE)
