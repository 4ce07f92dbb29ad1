"""CLIP weights by an open_clip tag, from a file, or from a tag's file that was fetched before.

What a file cannot say, its origin says: OpenAI's archives and open_clip's tags tell the activation and the pictures
that the weights were trained on, a hub's folder has them in ``open_clip_config.json``, and for any other file the name
of the architecture tells the activation. Where two of these disagree nothing is loaded.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from service.contract.manifest import Preprocessing
from training.config.model import CLIP_MEAN, CLIP_STD
from training.config.towers import ClipConfig
from training.errors import ImportProblem
from training.importers import openai
from training.importers.clip_sizes import architecture_sizes, check_sizes
from training.importers.container import read_checkpoint
from training.importers.mapping import check_family
from training.importers.origin import Origin
from training.models.clip import open_clip

CONFIG_NAME = "open_clip_config.json"
_FILE_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_QUICK_SUFFIX = "-quickgelu"
# Frames are cut from a short side of at least so many pixels, whatever the pictures of the pre-training were cut from.
SHORT_SIDE_PIXELS = 256
# By the beginning of a tag, as the weights' publishers state them.
_LICENCES = MappingProxyType(
    {"openai": openai.LICENCE, "laion": "MIT (LAION)", "datacomp": "MIT (DataComp)", "commonpool": "MIT (DataComp)"}
)
_NO_LICENCE = "not stated by the file; see its publisher"
_LOGIT_SCALE = "logit_scale"

Pictures = Mapping[str, Any]
Fetch = Callable[[dict[str, Any]], str]


@dataclass(frozen=True)
class ClipWeights:
    """A CLIP's tensors in single precision, with its sizes, the pictures it was trained on and its origin."""

    config: ClipConfig
    preprocessing: Preprocessing
    tensors: Mapping[str, Tensor]
    origin: Origin


@dataclass(frozen=True)
class _Source:
    """A file with what is known of it; ``quick_gelu`` is None where nobody says."""

    path: Path
    name: str
    quick_gelu: bool | None = None
    pictures: Pictures = field(default_factory=dict)
    licence: str = _NO_LICENCE


def fetch_weights(record: dict[str, Any], *, download: Callable[..., str] = open_clip.download_pretrained) -> str:
    """Fetch a tag's file from where it was released, whose name tells its digest, or else from the hub."""
    places = [{**record, "hf_hub": ""}] if record.get("url") else []
    places += [{**record, "url": ""}] if record.get("hf_hub") else []
    for place in places[:-1]:
        with suppress(OSError, RuntimeError):
            return download(place)
    return download(places[-1])


def read_clip(architecture: str, pretrained: str, *, fetch: Fetch = fetch_weights) -> ClipWeights:
    """Read a CLIP's weights.

    Args:
        architecture: an open_clip architecture, as ``ViT-B-16-quickgelu``.
        pretrained: an open_clip tag, which is fetched; ``TAG=FILE`` for a tag's file that is here; or a file or a hub's
            folder, whose activation is that of the architecture where it does not say.
        fetch: what turns open_clip's record of a tag into a file.

    Raises:
        ImportProblem: the weights cannot be fetched or read, are not of this architecture, or were trained with another
            activation than its name says.
    """
    sizes = architecture_sizes(architecture)
    source = _find(architecture, pretrained, fetch=fetch)
    checkpoint = read_checkpoint(source.path)
    check_family(checkpoint.tensors, family="clip", source=source.name)
    tensors, quick_gelu, family, licence = dict(checkpoint.tensors), source.quick_gelu, "open_clip", source.licence
    if openai.is_openai(tensors):
        if quick_gelu is False:
            raise ImportProblem(f"{source.path.name} is OpenAI's archive, not {source.name}; give the file of that tag")
        tensors = openai.drop_constants(tensors, source=source.name)
        quick_gelu, family, licence = True, "openai", openai.LICENCE
    _check_activation(architecture, quick_gelu, sizes=sizes, name=source.name)
    if _LOGIT_SCALE in tensors:
        tensors[_LOGIT_SCALE] = tensors[_LOGIT_SCALE].reshape(())
    config = check_sizes(tensors, architecture=architecture, source=source.name)
    return ClipWeights(
        config,
        _describe_pictures(source, size=config.image_size_pixels),
        tensors,
        Origin(family=family, source=source.name, sha256=checkpoint.digest, licence=licence),
    )


def _find(architecture: str, pretrained: str, *, fetch: Fetch) -> _Source:
    """Find the file of a tag or path, with what its origin says of it."""
    tag, _, file = pretrained.partition("=")
    if Path(pretrained).exists():
        return _find_local(Path(pretrained))
    record = _find_tag(architecture, tag)
    source = f"{tag} of {architecture}"
    if not file:
        path = _fetch(record, tag=tag, architecture=architecture, fetch=fetch)
    elif not (path := Path(file)).is_file():
        raise ImportProblem(f"{file} is not a file; give the one that holds the weights of {source}")
    licence = next((text for start, text in _LICENCES.items() if tag.startswith(start)), _NO_LICENCE)
    return _Source(path, source, bool(record.get("quick_gelu", False)), record, licence)


def _find_local(path: Path) -> _Source:
    """Take a file, or the weights of a folder that a hub's repository was fetched into."""
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        files = [path / name for name in _FILE_NAMES if (path / name).is_file()]
        if not files:
            raise ImportProblem(
                f"{path} holds none of {', '.join(_FILE_NAMES)}; give the folder or file of the weights"
            )
        path = files[0]
    if not (folder / CONFIG_NAME).is_file():
        return _Source(path, path.name)
    try:
        config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        quick_gelu = bool(config["model_cfg"].get("quick_gelu", False))
    except (ValueError, KeyError, AttributeError) as error:
        raise ImportProblem(f"{folder / CONFIG_NAME} cannot be read: {error!r}; fetch it again") from error
    return _Source(path, path.name, quick_gelu, config.get("preprocess_cfg", {}))


def _find_tag(architecture: str, tag: str) -> dict[str, Any]:
    """Find open_clip's record of a tag, under either name of the architecture."""
    plain = architecture.removesuffix(_QUICK_SUFFIX)
    for name in (architecture, plain):
        if record := open_clip.get_pretrained_cfg(name, tag):
            found: dict[str, Any] = record
            return found
    tags = sorted({*open_clip.list_pretrained_tags_by_model(plain)})
    raise ImportProblem(
        f"pretrained is {tag!r}, which is neither a file nor a tag of {architecture}; its tags are {', '.join(tags)}"
    )


def _fetch(record: dict[str, Any], *, tag: str, architecture: str, fetch: Fetch) -> Path:
    """Fetch a tag's file, or take it from open_clip's cache."""
    try:
        return Path(fetch(record))
    except Exception as error:  # a network, a disk, a hub and open_clip's own checks all fail in their own ways
        hub = [f"https://huggingface.co/{record['hf_hub'].rstrip('/')}"] if record.get("hf_hub") else []
        places = [record["url"]] * bool(record.get("url")) + hub
        raise ImportProblem(
            f"the weights {tag!r} of {architecture} could not be fetched from {' or '.join(places)}: "
            f"{_first_line(error)}. Fetch the file on another machine and give --pretrained {tag}=FILE"
        ) from error


def _check_activation(architecture: str, quick_gelu: bool | None, *, sizes: ClipConfig, name: str) -> None:
    """Refuse an architecture whose activation is not that of the weights."""
    if quick_gelu is None or quick_gelu == sizes.quick_gelu:
        return
    plain = architecture.removesuffix(_QUICK_SUFFIX)
    trained, other = ("with", plain + _QUICK_SUFFIX) if quick_gelu else ("without", plain)
    raise ImportProblem(f"{name} was trained {trained} QuickGELU, and {architecture} is not; give --backbone {other}")


def _describe_pictures(source: _Source, *, size: int) -> Preprocessing:
    """Say how frames become what the weights were trained on; CLIP's own way where nobody says otherwise."""
    pictures = source.pictures
    mode = pictures.get("resize_mode", "shortest")
    if mode not in ("shortest", "squash"):
        raise ImportProblem(
            f"{source.name} was trained on pictures resized by {mode!r}; 'shortest' and 'squash' are known"
        )
    squashes = mode == "squash"
    return Preprocessing(
        input_size=size,
        resize_rule="exact" if squashes else "short_side",
        resize_size=(size, size) if squashes else max(size, SHORT_SIDE_PIXELS),
        interpolation=pictures.get("interpolation", "bicubic"),
        crop_rule="centre",
        mean=tuple(pictures.get("mean", CLIP_MEAN)),
        std=tuple(pictures.get("std", CLIP_STD)),
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
