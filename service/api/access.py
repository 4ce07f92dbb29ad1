"""Who may call: API keys, off unless some are set."""

import hmac
from collections.abc import Sequence

from service.contract.errors import DuoActError


class UnauthorizedError(DuoActError):
    """The request carries no API key that is accepted."""


def check_api_key(authorization: str | None, *, accepted: Sequence[str]) -> None:
    """Accept a request whose ``Authorization: Bearer`` header holds an accepted key, or any where none are set.

    Raises:
        UnauthorizedError: no key, or a wrong one; the message never repeats it.
    """
    if not accepted:
        return
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise UnauthorizedError("no API key was given; send the header 'Authorization: Bearer <key>'")
    given = key.strip().encode()
    # Every key is compared, each in constant time, so that the time taken tells nothing.
    matches = [hmac.compare_digest(given, candidate.encode()) for candidate in accepted]
    if True not in matches:
        raise UnauthorizedError("the API key is not accepted; ask the operator of this service for one")
