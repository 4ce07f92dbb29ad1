"""A worker that was taken over, on a machine without libseccomp."""

import sys

# The nursery imports this module before it looks for the library.
sys.modules["pyseccomp"] = None  # type: ignore[assignment]

from tests.service.decoding.entries.hostile import work  # noqa: E402

__all__ = ["work"]
