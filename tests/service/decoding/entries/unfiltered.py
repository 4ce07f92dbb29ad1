"""A worker on a machine without libseccomp; it is otherwise the shipped one."""

import sys

# The nursery imports this module before it looks for the library.
sys.modules["pyseccomp"] = None  # type: ignore[assignment]

from service.decoding.worker import work  # noqa: E402

__all__ = ["work"]
