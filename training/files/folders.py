"""Folders that appear whole or not at all."""

import shutil
from pathlib import Path


def begin_folder(target: Path) -> Path:
    """Make an empty folder beside the target, to be renamed to it."""
    unfinished = target.with_name(f".{target.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    return unfinished
