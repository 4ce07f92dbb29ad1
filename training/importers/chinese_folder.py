"""The files of a Chinese text tower: where they lie, here or on the hub, and what stands in those without weights."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from training.config.towers import ChineseTextConfig
from training.errors import ImportProblem
from training.models.chinese_text import LAYER_NORM_EPSILON

CONFIG_NAME, VOCABULARY_NAME = "config.json", "vocab.txt"
WEIGHT_NAMES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class ChineseFiles:
    """Weights, vocabulary and, in a Hugging Face folder, the config; ``name`` is what a person calls them."""

    name: str
    weights: Path
    vocabulary: Path
    config: Path | None


def find_files(source: str, *, fetch: Callable[[str], Path]) -> ChineseFiles:
    """Find the files of a checkpoint, a folder or a repository of the hub, which is fetched.

    Raises:
        ImportProblem: one is missing, or the repository cannot be fetched.
    """
    path = Path(source)
    if path.is_file():
        files = ChineseFiles(path.name, path, path.with_name(VOCABULARY_NAME), None)
    elif path.is_dir():
        files = _find_in_folder(path, name=path.resolve().name)
    else:
        files = _find_in_folder(_fetch(source, fetch=fetch), name=source)
    for needed in (files.vocabulary, files.config):
        if needed is not None and not needed.is_file():
            raise ImportProblem(f"{needed} is missing; put the file of the released model there")
    return files


def fetch_folder(repository: str) -> Path:
    """Fetch config, vocabulary and weights of a repository of the hub, or take them from its cache."""
    for name in (CONFIG_NAME, VOCABULARY_NAME):
        path = Path(hf_hub_download(repository, name))
    try:
        hf_hub_download(repository, WEIGHT_NAMES[0])
    except EntryNotFoundError:
        hf_hub_download(repository, WEIGHT_NAMES[1])
    return path.parent


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """Read a vocabulary of one entry a line, whose order gives the ids.

    Raises:
        ImportProblem: an entry is repeated, or the file is not text.
    """
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ImportProblem(f"{path} cannot be read: {error}") from error
    entries = tuple(line.removesuffix("\r") for line in lines)
    seen: dict[str, int] = {}
    for number, entry in enumerate(entries, start=1):
        if entry in seen:
            raise ImportProblem(f"{path}: {entry!r} stands on lines {seen[entry]} and {number}; ids would be ambiguous")
        seen[entry] = number
    return entries


def check_stated_sizes(files: ChineseFiles, found: ChineseTextConfig) -> None:
    """Check that a folder's config describes the tower that its weights are.

    Raises:
        ImportProblem: a number differs, or the tower computes in another way than ours.
    """
    if files.config is None:
        return
    stated = _read_config(files.config)
    expected = {
        "vocab_size": found.vocab_size,
        "hidden_size": found.width,
        "num_hidden_layers": found.num_layers,
        "num_attention_heads": found.num_heads,
        "intermediate_size": found.mlp_width,
        "max_position_embeddings": found.num_positions,
        "layer_norm_eps": LAYER_NORM_EPSILON,
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "projection_dim": found.embed_dim,
    }
    differences = [
        f"{key} is {stated[key]!r}, not {value!r}" for key, value in expected.items() if stated.get(key, value) != value
    ]
    if differences:
        raise ImportProblem(
            f"{files.config} does not describe the tower of {files.weights.name}: {', '.join(differences)}"
        )


def _read_config(path: Path) -> dict[str, Any]:
    """Read what a config says of the text tower and of the joint space."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.get("model_type", "chinese_clip") != "chinese_clip":
            raise ImportProblem(f"{path} describes a {config['model_type']!r}, not a 'chinese_clip'; give its folder")
        stated: dict[str, Any] = {**config.get("text_config", {})}
    except (ValueError, AttributeError, TypeError) as error:
        raise ImportProblem(f"{path} cannot be read: {error}") from error
    # The text part repeats a default of the library here that no released model means.
    stated.pop("projection_dim", None)
    return stated | {key: config[key] for key in ("projection_dim",) if key in config}


def _find_in_folder(folder: Path, *, name: str) -> ChineseFiles:
    weights = [folder / each for each in WEIGHT_NAMES if (folder / each).is_file()]
    if not weights:
        raise ImportProblem(f"{folder} holds none of {', '.join(WEIGHT_NAMES)}; give the folder or file of the weights")
    return ChineseFiles(name, weights[0], folder / VOCABULARY_NAME, folder / CONFIG_NAME)


def _fetch(repository: str, *, fetch: Callable[[str], Path]) -> Path:
    try:
        return fetch(repository)
    except Exception as error:  # a network, a disk and a hub all fail in their own ways
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ImportProblem(
            f"{repository!r} is neither a file nor a folder here, and could not be fetched from the hub: {reason}. "
            f"Fetch {CONFIG_NAME}, {VOCABULARY_NAME} and {' or '.join(WEIGHT_NAMES)} on another machine and give their "
            "folder"
        ) from error
