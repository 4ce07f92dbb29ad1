"""What a connection may take of the server before, between and after requests."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ConnectionLimits:
    """Bounds on clients that are slow, silent or endless.

    Attributes:
        num_connections: open at the same time, idle ones included; one more is answered 503.
        header_seconds: from the connection, or the first byte of a further request, to the end of its header.
        header_bytes: of a request's line and header fields.
        idle_seconds: that a connection is kept between two requests.
        grace_seconds: that a body may take in addition to what its bytes do at ``min_bytes_per_second``; time in which
            the service itself does not read is not counted.
        min_bytes_per_second: slower bodies are answered 408.
        drain_bytes: read, and thrown away, of a body that was refused, so that its client can hear the answer.
        drain_seconds: that this may take.
    """

    num_connections: int = 1000
    header_seconds: float = 10.0
    header_bytes: int = 32 * 1024
    idle_seconds: float = 5.0
    grace_seconds: float = 10.0
    min_bytes_per_second: int = 1000
    drain_bytes: int = 256 * 1024
    drain_seconds: float = 2.0
