"""Folders of backbones, which are frozen towers with their tokenizers.

A backbone folder holds ``backbone.json`` (sizes), ``clip.safetensors`` (OpenAI's names), ``chinese.safetensors``
(Chinese-CLIP's names) and the two tokenizer files; a run has its own copy in ``backbone/``.
"""

import filecmp
import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from service.contract.manifest import Preprocessing
from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer
from training.config.model import BackboneConfig, ModelConfig
from training.errors import RunError
from training.files.folders import begin_folder
from training.models.builders import build_model
from training.models.video_clip import Tokenizers, VideoCLIP
from training.runs.configs import read_config, render_config
from training.runs.tensors import Tensors, load_strictly, load_tensors, save_tensors

BACKBONE_NAME = "backbone"
CLIP_NAME, _CHINESE, SIZES_NAME = "clip.safetensors", "chinese.safetensors", "backbone.json"
TOKENIZER_EN_NAME, _TOKENIZER_ZH = "tokenizer_en.json", "tokenizer_zh.json"
# Only fine-tuned CLIP goes on with the scale that CLIP was pre-trained with; elsewhere the recipe has a temperature.
_SCALE, _DEFAULT_SCALE = "logit_scale", math.log(100)
# What few text prompts start as (Rasheed et al. 2023).
_CONTEXT = "a photo of a"
_MAX_CONTEXT = 4


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
        own = self.config
        if config.adapters.needs_bridged and not own.bridged:
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
    unfinished = begin_folder(directory)
    save_tensors(clip, unfinished / CLIP_NAME)
    tokenizer_en.save(str(unfinished / TOKENIZER_EN_NAME))
    if chinese is not None:
        save_tensors(chinese, unfinished / _CHINESE)
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
        load_tensors(directory / CLIP_NAME),
        load_tensors(directory / _CHINESE) if chinese else None,
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
        unfinished = begin_folder(target)
        shutil.copytree(source, unfinished, dirs_exist_ok=True)
        unfinished.rename(target)
    return target


def _stretch(own: Preprocessing, *, as_in: Preprocessing) -> Preprocessing:
    """Let a recipe stretch its data set's pictures; all else about pictures comes with the weights."""
    if as_in.resize_rule != "exact":
        return own
    return Preprocessing.model_validate(own.model_dump() | {"resize_rule": "exact", "resize_size": as_in.resize_size})
