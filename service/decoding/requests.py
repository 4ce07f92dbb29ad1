"""What the gateway asks of a worker."""

import secrets
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from service.contract.views import ViewPlan
from service.decoding.frames import Frame, Kind


@dataclass(frozen=True)
class Request:
    """Which views of the video that comes with it, and how many seconds of computing they may take.

    The answer repeats the ticket, which nobody can know beforehand.
    """

    plan: ViewPlan
    limit_seconds: float
    ticket: int = field(default_factory=lambda: secrets.randbits(64))

    def pack(self) -> bytes:
        """Write the packet."""
        return Frame(Kind.READ, _REQUEST.dump_json(self), self.ticket).pack()

    @classmethod
    def unpack(cls, packet: bytes) -> "Request":
        """Read the packet; the gateway is believed."""
        return _REQUEST.validate_json(Frame.unpack(packet).text)


_REQUEST = TypeAdapter(Request)
