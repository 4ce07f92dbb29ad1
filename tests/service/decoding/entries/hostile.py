"""A worker that was taken over: a video that begins with ``attack`` names code of this module, which then runs.

The pool is the real one and the worker is locked in as every other; only the module that it runs is this one. All other
videos are read as they should be. An attack answers how the kernel took it, as the text of a refusal.
"""

# The system calls themselves are what is tried.
# ruff: noqa: PTH101, PTH102, PTH108, PTH115, PTH116, PTH208

import ctypes
import errno
import fcntl
import json
import mmap
import os
import pickle
import resource
import signal
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.contract.errors import UndecodableVideoError
from service.contract.views import ViewRules
from service.decoding.answers import pack_refusal
from service.decoding.frames import MAX_FRAME_BYTES, Frame, Kind
from service.decoding.requests import Request
from service.decoding.room import Room
from service.decoding.sandbox import limit_cpu
from service.decoding.worker import NUM_DESCRIPTORS, answer

PREFIX = b"attack "
# Written by the nursery, whose parent the gateway is.
_GATEWAY = os.getppid()
_LIBC = ctypes.CDLL(None, use_errno=True)
# Newer calls have one number on every machine.
_TGKILL, _PROCESS_VM_READV = (234, 310) if os.uname().machine == "x86_64" else (131, 270)
_IO_URING_SETUP, _PIDFD_OPEN, _CLONE3 = 425, 434, 435


@dataclass(frozen=True)
class Scene:
    """What an attack has at hand."""

    channel: int
    video: int
    place: int
    room: Room
    ticket: int


Attack = Callable[[Scene], object]


def work(channel: socket.socket, rules: ViewRules) -> None:
    """Do as the video says."""
    while True:
        packet, descriptors, _, _ = socket.recv_fds(channel, MAX_FRAME_BYTES, NUM_DESCRIPTORS)
        if not packet:
            return
        video, place = descriptors
        content = os.pread(video, 256, 0)
        if content.startswith(PREFIX):
            name = content.removeprefix(PREFIX).decode()
            request = Request.unpack(packet)
            limit_cpu(request.limit_seconds)
            scene = Scene(channel.fileno(), video, place, Room.of(rules, request.plan), request.ticket)
            reply = CRAFTED[name](scene) if name in CRAFTED else _attempt(CALLS[name], scene)
        else:
            reply = answer(packet, video=video, place=place, rules=rules)
        os.write(channel.fileno(), reply)
        os.close(video)
        os.close(place)


def _attempt(attack: Attack, scene: Scene) -> bytes:
    try:
        result = attack(scene)
    except OSError as error:
        told = f"refused with {errno.errorcode[error.errno or 0]}"
    except (MemoryError, RuntimeError, ValueError) as error:
        told = f"refused with {type(error).__name__}"
    else:
        told = f"DONE: {result!r}"
    return pack_refusal(UndecodableVideoError(told), ticket=scene.ticket)


def _call(number: int, *arguments: int) -> int:
    result = int(_LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(each) for each in arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def _send(scene: Scene) -> int:
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, scene.channel)
    return ours.sendmsg([b"x"])


def _run_from_memory(_: Scene) -> int:
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return int(_LIBC.mprotect(ctypes.c_void_p(address), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC))


def _map_code(_: Scene) -> int:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return int(_LIBC.mmap(None, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC, flags, -1, 0))


def _start_thread(_: Scene) -> None:
    threading.Thread(target=print).start()


def _spin(_: Scene) -> None:
    while True:
        pass


def _once(attack: Attack) -> Attack:
    """The first worker to get the video does so; the next one sees its mark and answers."""

    def attack_once(scene: Scene) -> str:
        # Those who hold one descriptor share its position.
        if os.lseek(scene.video, 0, os.SEEK_CUR) != 1:
            os.lseek(scene.video, 1, os.SEEK_SET)
            attack(scene)
        return "answered by another worker"

    return attack_once


# What a worker that was taken over may try.
CALLS: dict[str, Attack] = {
    "open a file": lambda _: os.open("/etc/passwd", os.O_RDONLY),
    "open a file for writing": lambda _: os.open("/tmp/sandbox-escape", os.O_WRONLY | os.O_CREAT, 0o600),
    "open the gateway's environment": lambda _: os.open(f"/proc/{_GATEWAY}/environ", os.O_RDONLY),
    "open the gateway's memory": lambda _: os.open(f"/proc/{_GATEWAY}/mem", os.O_RDWR),
    "open its own environment": lambda _: os.open("/proc/self/environ", os.O_RDONLY),
    "list the processes": lambda _: os.listdir("/proc"),
    "look at a file": lambda _: os.stat("/etc/passwd"),
    "read a link": lambda _: os.readlink(f"/proc/{_GATEWAY}/exe"),
    "change the gateway's limits": lambda _: resource.prlimit(_GATEWAY, resource.RLIMIT_NOFILE, (1, 1)),
    "read the gateway's limits": lambda _: resource.prlimit(_GATEWAY, resource.RLIMIT_NOFILE),
    "raise its own limit of files": lambda _: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)),
    "steer a device": lambda scene: os.get_terminal_size(scene.channel),
    "change a descriptor": lambda scene: fcntl.fcntl(scene.channel, fcntl.F_SETFL, os.O_NONBLOCK),
    "take much memory": lambda _: np.zeros((2, 2**30), np.uint8).nbytes,
    "kill the gateway": lambda _: os.kill(_GATEWAY, signal.SIGKILL),
    "probe the gateway": lambda _: os.kill(_GATEWAY, 0),
    "kill a thread of the gateway": lambda _: _call(_TGKILL, _GATEWAY, _GATEWAY, signal.SIGKILL),
    "read the gateway's memory": lambda _: _call(_PROCESS_VM_READV, _GATEWAY, 0, 0, 0, 0, 0),
    "hold the gateway": lambda _: _call(_PIDFD_OPEN, _GATEWAY, 0),
    "trace the gateway": lambda _: _LIBC.ptrace(16, _GATEWAY, 0, 0),
    "fork": lambda _: os.fork(),
    "start a thread": _start_thread,
    "clone": lambda _: _call(_CLONE3, 0, 0),
    "run a program": lambda _: os.execv("/bin/true", ["true"]),
    "open a socket to the network": lambda _: socket.socket(socket.AF_INET),
    "open a socket on this machine": lambda _: socket.socket(socket.AF_UNIX),
    "send descriptors": _send,
    "make written memory run": _run_from_memory,
    "map memory that runs": _map_code,
    "make a folder": lambda _: os.mkdir("/tmp/sandbox-escape"),
    "remove a file": lambda _: os.unlink("/tmp/sandbox-escape"),
    "change rights": lambda _: os.chmod("/tmp", 0o777),
    "make a file in memory": lambda _: os.memfd_create("escape"),
    "make a pipe": lambda _: os.pipe(),
    "copy a descriptor": lambda scene: os.dup(scene.channel),
    "cut the room": lambda scene: os.ftruncate(scene.place, 0),
    "become root": lambda _: os.setuid(0),
    "become dumpable": lambda _: _LIBC.prctl(4, 1, 0, 0, 0),
    "use a ring": lambda _: _call(_IO_URING_SETUP, 1, 0),
    "advise memory to be copied to nobody": lambda _: mmap.mmap(-1, mmap.PAGESIZE).madvise(mmap.MADV_DONTFORK),
    "look at the clock": lambda _: os.getpid() > 0,
    "spin": _spin,
    "spin once": _once(_spin),
    "abort once": _once(lambda _: os.abort()),
    "abort": lambda _: os.abort(),
    "read where nothing is": lambda _: ctypes.string_at(0),
    "leave": lambda _: os._exit(0),
}


class _Bomb:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.write_text, (Path("/tmp/sandbox-escape"), "the gateway ran what a worker answered")


def _sound_text(**changes: object) -> bytes:
    text = {
        "duration_seconds": 1.0,
        "num_frames": 25,
        "width": 96,
        "height": 96,
        "codec": "h264",
        "frame_rate": 25.0,
        "rotation_degrees": 0,
        "tone_mapped_from": None,
        "warnings": [],
        "degraded": None,
    }
    return json.dumps(text | changes).encode()


def _views(scene: Scene, text: bytes, *, num_array_bytes: int | None = None) -> bytes:
    size = scene.room.num_bytes if num_array_bytes is None else num_array_bytes
    return Frame(Kind.VIEWS, text, scene.ticket, size).pack()


def _with_times(scene: Scene, seconds: float) -> bytes:
    num_pixels = scene.room.num_bytes - 16 * 4
    os.write(scene.place, bytes(num_pixels + 8 * 4) + struct.pack("<4d", *[seconds] * 4))
    return _views(scene, _sound_text())


def _with_indices(scene: Scene, index: int) -> bytes:
    num_pixels = scene.room.num_bytes - 16 * 4
    os.write(scene.place, bytes(num_pixels) + struct.pack("<4q", *[index] * 4))
    return _views(scene, _sound_text())


def _flood(scene: Scene) -> bytes:
    while True:
        os.write(scene.channel, _views(scene, _sound_text()))


def _say_twice(scene: Scene) -> bytes:
    """Answer this video rightly, and the next one beforehand."""
    os.write(scene.channel, _views(scene, _sound_text()))
    return _views(scene, _sound_text(codec="forged"))


def _hang_up(scene: Scene) -> bytes:
    os.close(scene.channel)
    _spin(scene)
    return b""


def _tell(scene: Scene, text: bytes, *, kind: Kind = Kind.FAILURE) -> bytes:
    return Frame(kind, text, scene.ticket).pack()


def _say_well(scene: Scene) -> bytes:
    return _tell(scene, b'{"message": "all is well"}')


# Answers that no sound worker gives.
CRAFTED: dict[str, Callable[[Scene], bytes]] = {
    "a pickle": lambda _: pickle.dumps(_Bomb()),
    "a pickle inside": lambda scene: _tell(scene, pickle.dumps(_Bomb()), kind=Kind.REFUSAL),
    "no header": lambda _: b"x",
    "nothing": lambda _: b"",
    "half an answer": lambda scene: _say_well(scene)[:-10],
    "two answers in one": lambda scene: _say_well(scene) * 2,
    "a text of 2^32 bytes": lambda scene: _say_well(scene)[:8] + struct.pack("<I", 2**32 - 1) + _say_well(scene)[12:],
    "arrays of 2^60 bytes": lambda scene: _views(scene, _sound_text(), num_array_bytes=2**60),
    "no arrays": lambda scene: _views(scene, _sound_text(), num_array_bytes=0),
    "arrays beside a refusal": lambda scene: Frame(Kind.FAILURE, b'{"message": "x"}', scene.ticket, 8).pack(),
    "more than a packet": lambda scene: _tell(scene, b" " * 2**17),
    "the answer to another request": lambda _: Frame(Kind.FAILURE, b'{"message": "x"}', 1).pack(),
    "another version": lambda scene: _say_well(scene)[:4] + b"\x02" + _say_well(scene)[5:],
    "an unknown kind": lambda scene: _say_well(scene)[:5] + b"\x09" + _say_well(scene)[6:],
    "a request": lambda scene: _tell(scene, b"{}", kind=Kind.READ),
    "a second birth": lambda scene: _tell(scene, b"{}", kind=Kind.READY),
    "no JSON": lambda scene: _views(scene, b"{"),
    "deep JSON": lambda scene: _views(scene, b"[" * 60_000),
    "half a character": lambda scene: _tell(scene, b'{"message": "\\ud800"}'),
    "no UTF-8": lambda scene: _tell(scene, b'{"message": "\xff"}'),
    "a long message": lambda scene: _tell(scene, b'{"message": "%s"}' % (b"x" * 3000)),
    "an error of Python": lambda scene: _tell(scene, b'{"name": "SystemExit", "message": "x"}', kind=Kind.REFUSAL),
    "an error of another": lambda scene: _tell(scene, b'{"name": "BundleError", "message": "x"}', kind=Kind.REFUSAL),
    "a truth for a number": lambda scene: _views(scene, _sound_text(width=True)),
    "a fraction for a number": lambda scene: _views(scene, _sound_text(height=1.5)),
    "a number of 5000 digits": lambda scene: _views(scene, _sound_text().replace(b"25,", b"9" * 5000 + b",", 1)),
    "a text for a number": lambda scene: _views(scene, _sound_text(num_frames="25")),
    "a truth for a turn": lambda scene: _views(scene, _sound_text(rotation_degrees=False)),
    "a duration that is none": lambda scene: _views(scene, _sound_text(duration_seconds=float("nan"))),
    "a frame rate without end": lambda scene: _views(scene, _sound_text(frame_rate=float("inf"))),
    "a codec with a line break": lambda scene: _views(scene, _sound_text(codec="h264\n")),
    "another field": lambda scene: _views(scene, _sound_text(views=1)),
    "times that are none": lambda scene: _with_times(scene, float("nan")),
    "times before the start": lambda scene: _with_times(scene, -1.0),
    "a frame after the last": lambda scene: _with_indices(scene, 25),
    "a frame before the first": lambda scene: _with_indices(scene, -1),
    "no end of answers": _flood,
    "a closed socket": _hang_up,
    "the next answer too": _say_twice,
}
