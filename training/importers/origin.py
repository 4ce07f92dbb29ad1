"""Where a tower's weights come from: what a backbone folder and a manifest record of it, beside the weights."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from training.errors import ImportProblem
from training.files.texts import render_json

ORIGIN_NAME = "origin.json"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the weights of one tower, or of the two of a CLIP, come from.

    ``source`` is a tag, the name of a hub's repository or of a file; ``sha256`` is the digest of the file that was
    read, and None where nothing was. ``remarks`` say what a reader would not expect, as tensors that were left behind.
    """

    family: str
    source: str
    sha256: str | None
    licence: str
    remarks: tuple[str, ...] = ()


def render_origins(origins: Mapping[str, Origin]) -> str:
    """Render the origins of towers, by the towers' names, as JSON text with a final newline."""
    values = {name: asdict(origin) for name, origin in origins.items()}
    return render_json(values)


def read_origins(backbone_dir: Path) -> dict[str, Origin]:
    """Read the origins that a backbone folder records; towers that were trained here have none.

    Raises:
        ImportProblem: the record cannot be read.
    """
    path = backbone_dir / ORIGIN_NAME
    if not path.is_file():
        return {}
    try:
        return TypeAdapter(dict[str, Origin]).validate_json(path.read_bytes())
    except ValidationError as error:
        raise ImportProblem(f"{path} cannot be read: {error}; import the weights again") from error
