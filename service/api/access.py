"""Who may call: API keys, off unless some are set."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from service.contract.errors import DuoActError


class UnauthorizedError(DuoActError):
    """The request carries no API key that is accepted."""


@dataclass(frozen=True)
class AcceptedKeys:
    """The keys that are accepted, as SHA-256 digests: the keys themselves are nowhere in this process's records."""

    digests: tuple[bytes, ...]

    @classmethod
    def of(cls, keys: Iterable[str]) -> "AcceptedKeys":
        """Take the digests of keys; none means that everyone may call."""
        return cls(tuple(_digest(key) for key in keys))

    def check(self, authorization: str | None) -> None:
        """Accept a request whose ``Authorization: Bearer`` header holds an accepted key, or any where none are set.

        Raises:
            UnauthorizedError: no key, or a wrong one; the message never repeats it.
        """
        if not self.digests:
            return
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise UnauthorizedError("no API key was given; send the header 'Authorization: Bearer <key>'")
        given = _digest(key.strip())
        # Every key is compared, each in constant time, so that the time taken tells nothing.
        matches = [hmac.compare_digest(given, accepted) for accepted in self.digests]
        if True not in matches:
            raise UnauthorizedError("the API key is not accepted; ask the operator of this service for one")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
