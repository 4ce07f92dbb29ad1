"""What an ablation folder holds: one table on one recipe, data, backbone and protocol, and a run for each seed.

Layout: ``table.json`` says whose folder it is, ``backbone/`` is the one copy of the towers, ``<variant>/seed<k>/`` are
runs, and ``report.*`` what came out. Filling the folder is the work of ``runner``.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from service.contract.manifest import file_digest
from service.contract.wording import list_some
from training.config.model import Recipe
from training.data.annotations import VideoData
from training.errors import RunError, SettingError
from training.evaluation.protocols import PROTOCOLS, ZERO_SHOT, Protocol
from training.files.locks import waiting_lock
from training.files.texts import render_json, write_text
from training.runs.backbone import BACKBONE_NAME, copy_backbone, read_backbone
from training.runs.folder import list_differences
from training.studies.ablation.variants import Table, Variant

PLAN_NAME, LOCK_NAME = "table.json", ".lock"


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A table to be filled in a folder; ``settings`` are the fields of the recipe that were changed, as given."""

    table: Table
    recipe: Recipe
    settings: tuple[str, ...]
    data: VideoData
    protocol: Protocol
    directory: Path

    @property
    def backbone_dir(self) -> Path:
        """Where the towers of all runs lie."""
        return self.directory / BACKBONE_NAME

    @property
    def lock(self) -> Path:
        """What guards the files that all processes write."""
        return self.directory / LOCK_NAME


@dataclass(frozen=True)
class PlannedRun:
    """One variant under one seed."""

    variant: Variant
    seed: int
    directory: Path

    @property
    def name(self) -> str:
        """How the run is called in messages."""
        return f"{self.variant.name}, seed {self.seed}"

    @property
    def lock(self) -> Path:
        """What the process that works on this run holds; it lies beside the run, which may be removed."""
        return self.directory.with_name(f".{self.directory.name}.lock")

    @property
    def source(self) -> Path | None:
        """The run whose towers this one starts from; None for the backbone of the table."""
        name = self.variant.starts_from
        return None if name is None else self.directory.parents[1] / name / self.directory.name

    def protocol(self, base: Protocol) -> Protocol:
        """Say by which protocol this run is evaluated: a variant that trains nothing is measured as vanilla CLIP."""
        return base if self.variant.trains else base.for_model("vanilla")

    def recipe(self, base: Recipe) -> Recipe:
        """Make this run's recipe.

        Raises:
            SettingError: the base has nothing for the variant to change.
            ValueError: the variant's values do not fit the base's.
        """
        recipe = self.variant.change(base)
        # A fine-tuned English tower no longer shares its space with a Chinese one, which is therefore left out.
        model = recipe.model if self.source is None else replace(recipe.model, chinese=None)
        return replace(recipe, model=model, fit=replace(recipe.fit, seed=self.seed))


def open_ablation(
    table: Table,
    *,
    recipe: Recipe,
    settings: Sequence[str],
    data: VideoData,
    backbone_dir: Path,
    protocol: str,
    directory: Path,
) -> Ablation:
    """Make a folder for a table, or open the one that an earlier call made with the same settings.

    Raises:
        SettingError: a protocol that does not tell variants apart, or a recipe in which variants come out the same.
        RunError: the folder holds something else, or there is no backbone.
    """
    if protocol not in _protocols():
        raise SettingError(f"protocol is {protocol!r}; those that evaluate a run are {', '.join(_protocols())}")
    # The backbone is read for its sizes alone; they belong to every recipe of the table.
    recipe = replace(recipe, model=read_backbone(backbone_dir).configure(recipe.model))
    check_distinct(table, recipe)
    ablation = Ablation(
        table=table.with_titles(recipe),
        recipe=recipe,
        settings=tuple(settings),
        data=data,
        protocol=PROTOCOLS[protocol],
        directory=directory,
    )
    with waiting_lock(ablation.lock):
        _claim(ablation, plan=_describe(ablation, backbone_dir=backbone_dir))
        copy_backbone(backbone_dir, directory)
    return ablation


def list_runs(ablation: Ablation, *, only: Sequence[str], seeds: Sequence[int]) -> tuple[PlannedRun, ...]:
    """List the runs of some variants, or of all, with every variant of one seed before the next seed.

    Raises:
        SettingError: the table has no such variant.
    """
    names = [variant.name for variant in ablation.table.variants]
    if unknown := [name for name in only if name not in names]:
        raise SettingError(f"--only names {', '.join(unknown)}; table {ablation.table.name} has {', '.join(names)}")
    variants = [variant for variant in ablation.table.variants if not only or variant.name in only]
    return tuple(place_run(ablation, variant=variant, seed=seed) for seed in seeds for variant in variants)


def place_run(ablation: Ablation, *, variant: Variant, seed: int) -> PlannedRun:
    """Say where a run lies."""
    return PlannedRun(variant, seed, ablation.directory / variant.name / f"seed{seed}")


def check_distinct(table: Table, recipe: Recipe) -> None:
    """Check that no two variants are the same experiment on this recipe.

    Variants that cannot be built fail later, alone.

    Raises:
        SettingError: names the first two that are the same.
    """
    seen: list[tuple[Recipe, str]] = []
    for variant in table.variants:
        try:
            own = variant.change(recipe)
        except ValueError:
            continue
        same = [name for other, name in seen if other == own]
        if same:
            raise SettingError(
                f"variants {same[0]} and {variant.name} of table {table.name} are the same on recipe {recipe.name!r}; "
                "start from a recipe that has what the table compares"
            )
        seen.append((own, variant.name))


def _protocols() -> list[str]:
    return [each.name for each in PROTOCOLS.values() if each.model == "run" and each.name != ZERO_SHOT]


def _claim(ablation: Ablation, *, plan: dict[str, Any]) -> None:
    path = ablation.directory / PLAN_NAME
    if not path.is_file():
        write_text(path, text=render_json(plan))
        return
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored != plan:
        fields = list_differences(stored, plan)
        differences = [f"{name} is {there!r} there and {here!r} here" for name, there, here in fields]
        raise RunError(
            f"{ablation.directory} was started with other settings: {list_some(differences, separator='; ')}. "
            f"Give those of its {PLAN_NAME}, or another folder with --out"
        )


def _describe(ablation: Ablation, *, backbone_dir: Path) -> dict[str, Any]:
    """Say what all processes that work in the folder must agree on."""
    digest = hashlib.sha256()
    for path in sorted(each for each in backbone_dir.iterdir() if each.is_file()):
        digest.update(f"{path.name} {file_digest(path)}\n".encode())
    return {
        "table": ablation.table.name,
        "protocol": ablation.protocol.name,
        "data": {"name": ablation.data.name, "digest": ablation.data.digest},
        "backbone": digest.hexdigest(),
        "recipe": TypeAdapter(Recipe).dump_python(ablation.recipe, mode="json"),
    }
