"""What a decoding worker does with its life: read the views of one video after another, until its channel closes."""

import os
import socket

from service.contract.errors import VideoError
from service.contract.views import ViewRules
from service.decoding.answers import pack_failure, pack_refusal, pack_views
from service.decoding.frames import MAX_FRAME_BYTES
from service.decoding.held_file import HeldFile
from service.decoding.requests import Request
from service.decoding.room import Room
from service.decoding.sandbox import limit_cpu

# The video and the room.
NUM_DESCRIPTORS = 2


def work(channel: socket.socket, rules: ViewRules) -> None:  # pragma: no cover  (nowhere to write it)
    """Answer requests until the other end closes."""
    while True:
        packet, descriptors, _, _ = socket.recv_fds(channel, MAX_FRAME_BYTES, NUM_DESCRIPTORS)
        if not packet:
            return
        video, place = descriptors
        os.write(channel.fileno(), answer(packet, video=video, place=place, rules=rules))
        os.close(video)
        os.close(place)


def answer(packet: bytes, *, video: int, place: int, rules: ViewRules) -> bytes:  # pragma: no cover
    """Read the views of the video at one descriptor into the room at another; answers a packet, whatever happens."""
    request = Request.unpack(packet)
    limit_cpu(request.limit_seconds)
    try:
        views = rules.read(HeldFile(video), plan=request.plan)
        room = Room.of(rules, request.plan)
        room.write(place, views)
        return pack_views(views, ticket=request.ticket, room=room)
    except VideoError as error:
        return pack_refusal(error, ticket=request.ticket)
    except Exception as error:
        return pack_failure(error, ticket=request.ticket)
