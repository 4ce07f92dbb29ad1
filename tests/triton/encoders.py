"""Encoders that ask a test's server, closed at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from service.contract.manifest import Bundle
from service.encoders.base import Encoders
from service.encoders.triton.engine import TritonOptions, load_triton_encoders
from tests.triton.server import TritonServer


@contextmanager
def asking(server: TritonServer, bundle: Bundle, **options: object) -> Iterator[Encoders]:
    """Build encoders of a bundle: ``with asking(server, bundle, timeout_seconds=1.0) as encoders``."""
    chosen = replace(TritonOptions(server.address), **options)  # type: ignore[arg-type]
    encoders = load_triton_encoders(bundle, options=chosen)
    yield encoders
    encoders.close()
