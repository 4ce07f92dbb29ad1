"""Declaration of torchvision operators that a CPU-only torch cannot load.

open_clip and timm import torchvision. Beside a CPU-only torch, the torchvision wheel of the package index cannot load
its compiled extension, and its import then fails while it describes operators that nobody declared. We use none of
them: declaring their schemas lets the import finish.
"""

import importlib.util
from importlib.machinery import PathFinder
from pathlib import Path

import torch

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def declare_missing_operators() -> torch.library.Library | None:
    """Declare torchvision's missing operator schemas; do nothing where its own extension loads.

    The declarations last as long as the returned library is referenced.
    """
    if _load_extension():
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name, schema in SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)
    return library


def _load_extension() -> bool:
    """Load torchvision's compiled operators as its own import would, and tell whether that worked."""
    package = importlib.util.find_spec("torchvision")
    if package is None or package.submodule_search_locations is None:
        return False
    extension = PathFinder.find_spec("_C", list(package.submodule_search_locations))
    if extension is None or extension.origin is None:
        return False
    try:
        torch.ops.load_library(Path(extension.origin))
    except (ImportError, OSError):
        return False
    return True
