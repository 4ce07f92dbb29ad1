"""The demo from nothing to a bundle: render, pre-train, align, fit, evaluate, export, verify.

Every stage leaves its result in the work folder, whole or not at all, and is skipped where its result is there.
"""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from rich.console import Console
from rich.markdown import Markdown

from service.contract.errors import BundleError
from service.contract.manifest import open_bundle
from training.config.model import CLIP_PREPROCESSING, BackboneConfig, Recipe
from training.data.annotations import VideoData, read_video_data
from training.data.motion_shapes import SplitSizes, VideoFormat, render_motion_shapes
from training.demo.pretrain import PretrainConfig
from training.demo.towers import (
    CHINESE_ALIGNMENT,
    CHINESE_LENGTH,
    CLIP_PRETRAINING,
    NUM_STILLS,
    demo_chinese_config,
    demo_clip_config,
    train_demo_tokenizers,
    train_demo_towers,
)
from training.errors import RunError
from training.evaluation.evaluate import Settings, evaluate
from training.evaluation.protocols import PROTOCOLS
from training.export.bundle import export_bundle
from training.export.provenance import choose_fusion, describe_provenance
from training.export.verify import verify_bundle
from training.files.folders import begin_folder
from training.files.texts import render_json, write_text
from training.fitting.fit import FitResources, fit
from training.fitting.progress import show_fit
from training.recipes.demo import demo, demo_miniature
from training.runs.backbone import write_backbone
from training.runs.checkpoint import CHECKPOINT_NAME
from training.runs.earlier import upgrade_recipe
from training.runs.run import EVALUATION_NAME, Run, load_model, open_run

LABEL_SET = "motion_shapes"
_PROTOCOLS = ("open_vocabulary", "novel_compositions", "frozen_baseline")


@dataclass(frozen=True)
class DemoPlan:
    """How large the demo is, and its seed."""

    seed: int
    sizes: SplitSizes
    num_stills: int
    clip_training: PretrainConfig
    chinese_training: PretrainConfig
    recipe: Recipe


def plan_demo(*, seed: int) -> DemoPlan:
    """Plan the demo whose bundle is shipped."""
    return DemoPlan(seed, SplitSizes(), NUM_STILLS, CLIP_PRETRAINING, CHINESE_ALIGNMENT, _seeded(demo(), seed))


def plan_miniature(*, seed: int) -> DemoPlan:
    """Plan the same path in a minute or two; what it learns is worth nothing."""
    short = partial(replace, num_steps=3, batch_size=8, warmup_steps=1)
    return DemoPlan(
        seed,
        SplitSizes(train=1, val=1, test=1, novel=1),
        64,
        short(CLIP_PRETRAINING),
        short(CHINESE_ALIGNMENT),
        _seeded(demo_miniature(), seed),
    )


def build_demo(plan: DemoPlan, *, out: Path, work: Path, num_workers: int, console: Console) -> None:
    """Build the demo bundle at ``out``, with everything on the way in ``work``.

    Raises:
        RunError: the work folder belongs to another plan.
        BundleError: the bundle does not answer as the model does.
    """
    _claim(work, plan)
    stages: dict[str, Callable[[], None]] = {
        "render": lambda: _render(plan, work=work, num_workers=num_workers),
        "towers": lambda: _train_towers(plan, work=work, num_workers=num_workers),
        "fit": lambda: _fit(plan, work=work, num_workers=num_workers, console=console),
        "evaluate": lambda: _evaluate(work, num_workers=num_workers, console=console),
        "export": lambda: _export(work, out=out),
        "verify": lambda: _verify(work, out=out, console=console),
    }
    for name, run in stages.items():
        started = time.perf_counter()
        console.rule(name)
        run()
        console.print(f"{name}: {time.perf_counter() - started:.0f} s")


def _seeded(recipe: Recipe, seed: int) -> Recipe:
    return replace(recipe, fit=replace(recipe.fit, seed=seed))


def _claim(work: Path, plan: DemoPlan) -> None:
    """Mark a work folder as this plan's, so that stages of different plans do not mix."""
    mark = work / "plan.json"
    values: dict[str, Any] = TypeAdapter(DemoPlan).dump_python(plan, mode="json")
    if mark.is_file():
        stored = json.loads(mark.read_text(encoding="utf-8"))
        if {**stored, "recipe": upgrade_recipe(stored.get("recipe"))} != values:
            raise RunError(f"{work} belongs to a demo of another seed or size; choose another folder with --work")
        return
    work.mkdir(parents=True, exist_ok=True)
    write_text(mark, text=render_json(values))


def _render(plan: DemoPlan, *, work: Path, num_workers: int) -> None:
    target = _data_dir(work)
    if target.exists():
        return
    unfinished = begin_folder(target)
    render_motion_shapes(
        unfinished, seed=plan.seed, sizes=plan.sizes, video_format=VideoFormat(), num_workers=num_workers
    )
    unfinished.rename(target)


def _train_towers(plan: DemoPlan, *, work: Path, num_workers: int) -> None:
    if _backbone_dir(work).exists():
        return
    tokenizers = train_demo_tokenizers()
    clip = demo_clip_config(tokenizers.english)
    towers = train_demo_towers(
        tokenizers,
        seed=plan.seed,
        num_workers=num_workers,
        num_stills=plan.num_stills,
        clip_training=plan.clip_training,
        chinese_training=plan.chinese_training,
    )
    preprocessing = CLIP_PREPROCESSING.model_copy(
        update={"input_size": clip.image_size_pixels, "resize_size": clip.image_size_pixels}
    )
    write_backbone(
        _backbone_dir(work),
        config=BackboneConfig(
            clip=clip,
            chinese=demo_chinese_config(tokenizers.chinese),
            preprocessing=preprocessing,
            max_length_zh=CHINESE_LENGTH,
        ),
        clip=towers.clip.state_dict(),
        chinese=towers.chinese.state_dict(),
        tokenizer_en=tokenizers.english,
        tokenizer_zh=tokenizers.chinese,
    )


def _fit(plan: DemoPlan, *, work: Path, num_workers: int, console: Console) -> None:
    run_dir = _run_dir(work)
    has_checkpoint = (run_dir / CHECKPOINT_NAME).exists()
    if not has_checkpoint:
        shutil.rmtree(run_dir, ignore_errors=True)
    with show_fit(console) as begin:
        fit(
            plan.recipe,
            data=_data(work),
            resources=FitResources(run_dir=run_dir, cache_dir=work / "frames", num_workers=num_workers),
            backbone_dir=_backbone_dir(work),
            resume=has_checkpoint,
            begin=begin,
        )


def _evaluate(work: Path, *, num_workers: int, console: Console) -> None:
    for protocol in (PROTOCOLS[name] for name in _PROTOCOLS):
        path = _run_dir(work) / EVALUATION_NAME / f"{protocol.name}.md"
        if not path.exists():
            settings = Settings(num_workers=num_workers)
            evaluate(open_run(_run_dir(work)), data=_data(work), protocol=protocol, settings=settings)
        console.print(Markdown(path.read_text(encoding="utf-8")))


def _export(work: Path, *, out: Path) -> None:
    run = open_run(_run_dir(work))
    if _is_exported(run, out=out):
        return
    model = run.load_model().cpu()
    export_bundle(
        model,
        out,
        name=out.resolve().name,
        label_sets={LABEL_SET: _data(work).labels},
        fusion=choose_fusion(run, has_chinese=True),
        provenance=describe_provenance(run),
    )


def _is_exported(run: Run, *, out: Path) -> bool:
    """Whether a bundle says that it comes from this run; whether that is true, `verify` finds out."""
    try:
        found = open_bundle(out).manifest.provenance
    except BundleError:
        return False
    expected = describe_provenance(run)
    return found.model_copy(update={"package_versions": expected.package_versions}) == expected


def _verify(work: Path, *, out: Path, console: Console) -> None:
    verify_bundle(out, model=load_model(_run_dir(work)).cpu(), console=console)


def _data(work: Path) -> VideoData:
    return read_video_data(_data_dir(work))


def _data_dir(work: Path) -> Path:
    return work / "data"


def _backbone_dir(work: Path) -> Path:
    return work / "backbone"


def _run_dir(work: Path) -> Path:
    return work / "run"
