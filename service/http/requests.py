"""Requests that are refused by their header alone, before any of the application runs."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

import h11

_VERSIONS = (b"1.0", b"1.1")
# A host that is named or numbered, in brackets with colons, with or without a port.
_HOST = re.compile(rb"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^\s:\[\]/@]+))(?::[0-9]{1,5})?")
Refusal = tuple[int, str]
CheckHost = Callable[[bytes], Refusal | None]


def find_refusal(request: h11.Request, *, header_bytes: int, check_host: CheckHost) -> Refusal | None:
    """Say why a request is refused, as a status and a sentence; None where it may pass.

    A request of two lengths could be read as two others by whoever stands in front (request smuggling, RFC 9112
    section 6.1), and one of an unknown version might mean anything.
    """
    if request.http_version not in _VERSIONS:
        return 505, f"HTTP/{request.http_version.decode()} is not spoken here; send HTTP/1.1"
    headers = [(name.lower(), value) for name, value in request.headers]
    num_bytes = len(request.target) + sum(len(name) + len(value) + 4 for name, value in headers)
    if num_bytes > header_bytes:
        return (
            431,
            f"the header has {num_bytes} bytes; at most {header_bytes} are allowed: send fewer or shorter fields",
        )
    names = {name for name, _ in headers}
    if {b"content-length", b"transfer-encoding"} <= names:
        return 400, "the body has a Content-Length and a Transfer-Encoding; send one of them"
    hosts = [value for name, value in headers if name == b"host"]
    # HTTP/1.0 needs none: health checks of proxies speak it, browsers do not.
    return check_host(hosts[0]) if hosts else None


def any_host(_: bytes) -> Refusal | None:
    """Take requests for any host: where keys are asked for, or others are served, names are the operator's affair."""
    return None


@dataclass(frozen=True)
class OwnHosts:
    """Take requests that name this machine alone, or one of ``names``.

    A page of another site can make its own name mean 127.0.0.1 (DNS rebinding), and so have a browser ask a service
    that asks for no key; the name that it uses tells.
    """

    names: frozenset[str] = frozenset()

    def __call__(self, host: bytes) -> Refusal | None:
        """Say why a request for a host is refused."""
        match = _HOST.fullmatch(host)
        named = "" if match is None else (match["six"] or match["name"]).decode("latin-1").rstrip(".").lower()
        if named == "localhost" or named.endswith(".localhost") or named in self.names or is_loopback(named):
            return None
        shown = host[:64].decode("latin-1")
        return 421, (
            f"the request is for host {shown!r}, but this service asks for no key and so answers to localhost alone; "
            "use its address, or have the operator name the host in DUOACT_ALLOWED_HOSTS"
        )


def is_loopback(address: str) -> bool:
    """Whether an address is one of this machine alone; a name is none."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
