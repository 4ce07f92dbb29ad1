"""The files of docker/ as tests read them."""

from pathlib import Path
from typing import Any

import yaml

DOCKER = Path(__file__).parents[2] / "docker"


def read_compose() -> dict[str, Any]:
    """compose.yaml with its anchors resolved, before variables are put in."""
    content: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    return content
