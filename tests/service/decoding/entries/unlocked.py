"""A worker on a machine that refuses Landlock, and root another user, as profiles of containers do."""

import errno
import os

from service.decoding import sandbox
from service.decoding.worker import work

__all__ = ["work"]


def _refuse(*_: object) -> int:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


os.setresuid = _refuse  # type: ignore[assignment]
sandbox.restrict_self = _refuse  # type: ignore[attr-defined]
