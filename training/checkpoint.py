"""Folders of weights: backbones, which are frozen towers with their tokenizers, and the checkpoints of runs.

A backbone folder holds ``backbone.json`` (sizes), ``clip.safetensors`` (OpenAI's names), ``chinese.safetensors``
(Chinese-CLIP's names) and the two tokenizer files. A run folder holds ``config.json`` (the recipe), ``backbone/`` and
``checkpoint/<step>/`` with the adapters and, beside them, what resuming needs; with a closed set of classes also
``classes.csv``, their names in the order of the logits. Loading is strict both ways.
"""

import filecmp
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from service.contract.errors import LabelError
from service.contract.labels import Label, read_label_file
from service.contract.manifest import Preprocessing
from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer
from training.config import BackboneConfig, ModelConfig, Recipe
from training.data.texts import render_json
from training.errors import RunError
from training.models.builders import build_model
from training.models.video_clip import Tokenizers, VideoCLIP

BACKBONE_NAME, CONFIG_NAME, CHECKPOINT_NAME = "backbone", "config.json", "checkpoint"
CLASSES_NAME = "classes.csv"
CLIP_NAME, _CHINESE, SIZES_NAME = "clip.safetensors", "chinese.safetensors", "backbone.json"
TOKENIZER_EN_NAME, _TOKENIZER_ZH = "tokenizer_en.json", "tokenizer_zh.json"
_ADAPTERS, _STATE = "adapters.safetensors", "state.pt"
# Only fine-tuned CLIP goes on with the scale that CLIP was pre-trained with; elsewhere the recipe has a temperature.
_SCALE, _DEFAULT_SCALE = "logit_scale", math.log(100)
# What few text prompts start as (Rasheed et al. 2023).
_CONTEXT = "a photo of a"
_MAX_CONTEXT = 4
Tensors = Mapping[str, Tensor]
Config = TypeVar("Config")


@dataclass(frozen=True)
class Backbone:
    """Frozen towers: sizes, tensors by their released names, and tokenizers."""

    config: BackboneConfig
    clip: Tensors
    chinese: Tensors | None
    tokenizers: Tokenizers

    def configure(self, config: ModelConfig) -> ModelConfig:
        """Give a model's config the sizes and the preprocessing of these towers.

        Raises:
            RunError: the config has prompts that the towers are too small for, or that need bridged towers.
        """
        own, prompts = self.config, config.vl_prompts
        if prompts is not None and not (own.bridged or prompts.allow_unbridged):
            raise RunError(
                "these towers were never fine-tuned on videos, and prompts are to be learned on towers that were; run "
                "`duoact-train fit vl_bridge --data DATA --backbone BACKBONE --out BRIDGE` and give --backbone BRIDGE, "
                "or --set allow_unbridged=true"
            )
        try:
            preprocessing = _stretch(own.preprocessing, as_in=config.preprocessing)
            return replace(config, clip=own.clip, chinese=own.chinese, preprocessing=preprocessing)
        except ValueError as error:
            raise RunError(f"the recipe does not fit its backbone: {error}") from error

    def build(self, config: ModelConfig) -> VideoCLIP:
        """Build a model on these towers; its adapters are new.

        Raises:
            RunError: a tensor is missing, unexpected or of another shape; every such tensor is named.
        """
        model = build_model(self.configure(config), tokenizers=self.tokenizers)
        visual = {name.removeprefix("visual."): t for name, t in self.clip.items() if name.startswith("visual.")}
        text = {name: t for name, t in self.clip.items() if not name.startswith("visual.") and name != _SCALE}
        prompts = {name: t for name, t in model.english.state_dict().items() if name.startswith("vl_prompts.")}
        load_strictly(model.video.visual, visual, source="the backbone's image tower")
        load_strictly(model.english, {**text, **prompts}, source="the backbone's English tower")
        self._initialise(model)
        if model.chinese is not None:
            load_strictly(model.chinese, self.chinese or {}, source="the backbone's Chinese tower")
        return model

    def _initialise(self, model: VideoCLIP) -> None:
        """Start the logit scale as CLIP's, and few text prompts as the words that they stand for."""
        if model.logit_scale is not None:
            model.logit_scale.data.fill_(float(self.clip.get(_SCALE, _DEFAULT_SCALE)))
            model.adopt_temperature()
        prompts = model.english.vl_prompts
        if prompts is not None and prompts.num_tokens <= _MAX_CONTEXT:
            tokens = self.tokenizers.english.encode([_CONTEXT], template="{}", word_set="label").token_ids[0]
            model.english.start_prompts(torch.from_numpy(tokens[1 : 1 + prompts.num_tokens]))


def write_backbone(
    directory: Path,
    *,
    config: BackboneConfig,
    clip: Tensors,
    chinese: Tensors | None,
    tokenizer_en: Tokenizer,
    tokenizer_zh: Tokenizer | None,
) -> None:
    """Write a backbone folder; it appears whole or not at all.

    Raises:
        RunError: the folder exists.
    """
    if directory.exists():
        raise RunError(f"{directory} exists; choose another folder or remove it")
    unfinished = _begin(directory)
    _save(clip, unfinished / CLIP_NAME)
    tokenizer_en.save(str(unfinished / TOKENIZER_EN_NAME))
    if chinese is not None:
        _save(chinese, unfinished / _CHINESE)
    if tokenizer_zh is not None:
        tokenizer_zh.save(str(unfinished / _TOKENIZER_ZH))
    (unfinished / SIZES_NAME).write_text(render_config(config), encoding="utf-8")
    unfinished.rename(directory)


def read_backbone(directory: Path) -> Backbone:
    """Read a backbone folder.

    Raises:
        RunError: it is none, or a file is missing or broken.
        BundleError: a tokenizer file is broken.
    """
    config = read_config(directory / SIZES_NAME, kind=BackboneConfig)
    chinese = config.chinese is not None
    english_tokenizer = EnglishTokenizer.from_file(directory / TOKENIZER_EN_NAME, max_length=config.clip.context_length)
    chinese_tokenizer = (
        ChineseTokenizer.from_file(directory / _TOKENIZER_ZH, max_length=config.max_length_zh) if chinese else None
    )
    return Backbone(
        config,
        _load(directory / CLIP_NAME),
        _load(directory / _CHINESE) if chinese else None,
        Tokenizers(english_tokenizer, chinese_tokenizer),
    )


def copy_backbone(source: Path, run_dir: Path) -> Path:
    """Copy a backbone into a run, which thereby needs nothing else; an equal copy is kept.

    Raises:
        RunError: the source is no backbone, or the run holds another one.
    """
    target = run_dir / BACKBONE_NAME
    read_config(source / SIZES_NAME, kind=BackboneConfig)
    if target.exists():
        names = sorted(path.name for path in source.iterdir())
        if filecmp.cmpfiles(source, target, names, shallow=False)[0] != names:
            raise RunError(f"{target} is another backbone than {source}; remove it, or choose another folder")
    else:
        unfinished = _begin(target)
        shutil.copytree(source, unfinished, dirs_exist_ok=True)
        unfinished.rename(target)
    return target


def write_checkpoint(run_dir: Path, *, adapters: Tensors, step: int, state: dict[str, Any]) -> None:
    """Write the adapters after ``step`` steps with what resuming needs, then remove older checkpoints."""
    target = run_dir / CHECKPOINT_NAME / f"{step:08d}"
    if target.exists():
        return
    unfinished = _begin(target)
    _save(adapters, unfinished / _ADAPTERS)
    torch.save({"step": step, **state}, unfinished / _STATE)
    unfinished.rename(target)
    for other in target.parent.iterdir():
        if other != target:
            shutil.rmtree(other)


def has_checkpoint(run_dir: Path) -> bool:
    """Whether a run has come as far as a checkpoint."""
    return bool(_list_checkpoints(run_dir))


def latest_checkpoint(run_dir: Path) -> Path:
    """Find the checkpoint folder of a run.

    Raises:
        RunError: the run has none.
    """
    folders = _list_checkpoints(run_dir)
    if not folders:
        raise RunError(f"{run_dir} holds no checkpoint; give the folder that `duoact-train fit --out` wrote")
    return folders[-1]


def read_checkpoint(run_dir: Path, *, model: VideoCLIP) -> dict[str, Any]:
    """Load a run's adapters into its model and return what resuming needs, ``step`` included.

    Raises:
        RunError: there is no checkpoint, or a tensor is missing, unexpected or of another shape.
    """
    folder = latest_checkpoint(run_dir)
    tensors = _load(folder / _ADAPTERS)
    frozen = {name: tensor for name, tensor in model.state_dict().items() if name not in adapter_state(model)}
    load_strictly(model, {**frozen, **tensors}, source=str(folder / _ADAPTERS))
    state: dict[str, Any] = torch.load(folder / _STATE, map_location="cpu", weights_only=True)
    return state


def load_model(run_dir: Path) -> VideoCLIP:
    """Load a run's model for evaluation.

    Raises:
        RunError: the folder is not a run, or its weights are not those of its config.
    """
    recipe = read_config(run_dir / CONFIG_NAME, kind=Recipe)
    model = read_backbone(run_dir / BACKBONE_NAME).build(recipe.model)
    read_checkpoint(run_dir, model=model)
    model.adopt_temperature()
    if recipe.model.is_closed and recipe.model.side is not None:
        model.classes = read_classes(run_dir, num_classes=recipe.model.side.require_num_classes())
    return model.eval()


def read_classes(run_dir: Path, *, num_classes: int) -> tuple[Label, ...]:
    """Read what the logits of a closed run stand for.

    Raises:
        RunError: the table is missing or broken, or has another number of classes.
    """
    try:
        classes = read_label_file(run_dir / CLASSES_NAME)
    except (OSError, LabelError) as error:
        raise RunError(f"{run_dir} lacks the names of its classes: {error}") from error
    if len(classes) != num_classes:
        raise RunError(f"{run_dir / CLASSES_NAME} names {len(classes)} classes, but the run learned {num_classes}")
    return classes


def adapter_state(model: VideoCLIP) -> dict[str, Tensor]:
    """Everything that training changes: trainable parameters and the running statistics beside them."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


def load_strictly(module: nn.Module, tensors: Tensors, *, source: str) -> None:
    """Load tensors into a module whose names and shapes they must match exactly.

    Raises:
        RunError: names every missing, unexpected and misshapen tensor.
    """
    if misfits := describe_misfits(tensors, expected=module.state_dict()):
        raise RunError(f"{source} does not fit the model. {misfits}")
    module.load_state_dict(dict(tensors))


def describe_misfits(tensors: Tensors, *, expected: Tensors) -> str:
    """Name every missing, unexpected and misshapen tensor, if there are any; ``expected`` may be without values."""
    problems = {
        "missing": sorted(set(expected) - set(tensors)),
        "unexpected": sorted(set(tensors) - set(expected)),
        "of another shape": [
            f"{name} is {tuple(tensors[name].shape)}, not {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in tensors and tensors[name].shape != tensor.shape
        ],
    }
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names)


def render_config(config: object) -> str:
    """Render a config as JSON text with a final newline."""
    values = TypeAdapter(type(config)).dump_python(config, mode="json")
    return render_json(values)


def read_config(path: Path, *, kind: type[Config]) -> Config:
    """Read a config that ``render_config`` wrote.

    It may lack keys that were added after it was written, in a recipe any, in a backbone ``bridged``: their defaults
    are what was so before.

    Raises:
        RunError: the file is missing, or a key is missing, unknown or has an impossible value.
    """
    if not path.is_file():
        folder = "backbone" if kind is BackboneConfig else "run"
        raise RunError(f"{path.parent} is not a {folder} folder: it has no {path.name}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if kind is BackboneConfig:
            values = {"bridged": False, **values}
        config = TypeAdapter(kind).validate_python(values)
    except (ValidationError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    rendered = json.loads(render_config(config))
    if not _covers(rendered, values) or (rendered != values and kind is not Recipe):
        raise RunError(f"{path} has keys that {kind.__name__} does not have, or lacks some; it is of another version")
    return config


def _stretch(own: Preprocessing, *, as_in: Preprocessing) -> Preprocessing:
    """Let a recipe stretch its data set's pictures; all else about pictures comes with the weights."""
    if as_in.resize_rule != "exact":
        return own
    return Preprocessing.model_validate(own.model_dump() | {"resize_rule": "exact", "resize_size": as_in.resize_size})


def _covers(rendered: Any, values: Any) -> bool:  # noqa: ANN401
    """Whether a config says all that a file does, at every depth; it may say more."""
    if isinstance(rendered, dict) and isinstance(values, dict):
        return all(key in rendered and _covers(rendered[key], value) for key, value in values.items())
    return bool(rendered == values)


def _list_checkpoints(run_dir: Path) -> list[Path]:
    """List a run's checkpoint folders, the latest last."""
    return sorted((run_dir / CHECKPOINT_NAME).glob("[0-9]*"))


def _begin(target: Path) -> Path:
    """Make an empty folder beside the target, to be renamed to it."""
    unfinished = target.with_name(f".{target.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    return unfinished


def _save(tensors: Tensors, path: Path) -> None:
    save_file({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}, path)


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
