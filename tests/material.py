"""Test material that lies beside some checkouts: real clips and public label lists. None of it is in the project.

A test that needs it bears the marker ``material``. It is skipped where there is none, and fails there where
``TESTS_REQUIRE_MATERIAL`` is 1.
"""

import os

import pytest

from tests.end_to_end.server import ROOT

_FOLDER = ROOT.parent / "shared"
VIDEOS = _FOLDER / "videos"
LISTS = _FOLDER / "labels"


def has_material() -> bool:
    """Whether clips and lists are there."""
    return VIDEOS.is_dir() and LISTS.is_dir()


def require_material() -> None:
    """Skip the test that runs, or fail it, where there is no material."""
    if has_material():
        return
    reason = f"no test material at {_FOLDER}"
    if os.environ.get("TESTS_REQUIRE_MATERIAL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
