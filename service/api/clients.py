"""Who a client is, for sharing what there is fairly: its key, else its address."""

import hashlib
import ipaddress

from fastapi import Request

# A household or a server is given so many bits of an IPv6 address for itself.
_PREFIX_BITS = 64


def name_client(request: Request) -> str:
    """Name the client of a request; the name tells nothing of its key.

    Behind a proxy that asks for no keys all are one client, which then has all there is.
    """
    authorization = request.headers.get("authorization")
    if authorization:
        return hashlib.sha256(authorization.encode()).hexdigest()
    host = "" if request.client is None else request.client.host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, _PREFIX_BITS), strict=False))
    return host
