"""Landlock: a process gives up files, TCP, and signals to others, where the kernel has it (Linux 5.13 and later).

All rights that the kernel knows are handled and none is granted. Descriptors that are already open go on working.
"""

import ctypes
import os

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_GIVE_VERSION = 1
# Rights by the version that brought them: 13 of files, moving, truncating, device calls; two of TCP; then scopes, of
# abstract sockets and of signals.
_FILE_RIGHTS = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_NETWORK_RIGHTS = ((4, 0b11),)
_SCOPES = ((6, 0b11),)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def restrict_self() -> int:  # pragma: no cover  (run in workers alone)
    """Give up everything, for good; answers the version of the kernel's Landlock. Needs "no new privileges".

    Raises:
        OSError: the kernel has none, or refuses it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = _call(libc, _CREATE_RULESET, None, 0, _GIVE_VERSION)
    ruleset = _Ruleset(*(_known(rights, version) for rights in (_FILE_RIGHTS, _NETWORK_RIGHTS, _SCOPES)))
    # An older kernel refuses fields that it does not know.
    num_fields = 1 + (version >= _NETWORK_RIGHTS[0][0]) + (version >= _SCOPES[0][0])
    descriptor = _call(libc, _CREATE_RULESET, ctypes.byref(ruleset), 8 * num_fields, 0)
    try:
        _call(libc, _RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)
    return version


def _known(rights: tuple[tuple[int, int], ...], version: int) -> int:  # pragma: no cover
    return sum(bits for since, bits in rights if version >= since)


def _call(libc: ctypes.CDLL, number: int, *arguments: object) -> int:  # pragma: no cover
    typed = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *typed))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result
