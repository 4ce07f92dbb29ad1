"""A serving bundle of towers as they are: nothing trained, frames averaged, Chinese only where evidence allows it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from service.contract.labels import Label, load_builtin_label_sets
from service.contract.manifest import Lambda, Provenance
from service.contract.wording import list_some
from training.errors import SettingError
from training.evaluation.protocols import UNTUNED_LAMBDA
from training.export.bundle import export_bundle
from training.export.evidence import AlignmentReport, require_evidence
from training.importers.backbone import PublicBackbone, build_vanilla
from training.models.video_clip import VideoCLIP
from training.runs.environment import describe_environment

RECIPE = "public_weights"
_RANDOM = "random"


def build_public_bundle(
    towers: PublicBackbone,
    out: Path,
    *,
    label_sets: Mapping[str, tuple[Label, ...]],
    num_frames: int,
    evidence: AlignmentReport | None = None,
    warn: Callable[[str], None],
) -> Path:
    """Export the plain CLIP of a backbone with the given label sets embedded, and verify it.

    The Chinese tower goes along; it is switched on by evidence, or where all towers are random and the bundle is for
    sizing alone. ``warn`` is told of labels that a tower reads only in part.

    Raises:
        SettingError: the evidence is of other towers, or too weak.
        BundleError: ``out`` holds something else than a bundle, or the bundle does not answer as the model does.
    """
    model = build_vanilla(towers, num_frames=num_frames)
    fusion = choose_public_fusion(towers, model, evidence=evidence)
    for name, labels in label_sets.items():
        for sentence in list_unread(model, labels):
            warn(f"{name}: {sentence}")
    return export_bundle(
        model,
        out,
        name=out.resolve().name,
        label_sets=label_sets,
        fusion=fusion,
        provenance=_describe(towers, model, evidence=evidence),
        chinese_trained=model.chinese is not None and fusion.value < 1,
    )


def choose_public_fusion(towers: PublicBackbone, model: VideoCLIP, *, evidence: AlignmentReport | None) -> Lambda:
    """Weigh both languages equally where the Chinese tower may speak, and take English alone where not.

    Raises:
        SettingError: the evidence is of other towers, or too weak.
    """
    if evidence is not None:
        return Lambda(value=UNTUNED_LAMBDA, chosen=f"not tuned; {require_evidence(evidence, model)}")
    if model.chinese is None:
        return Lambda(value=1.0, chosen="no Chinese branch")
    if is_random(towers):
        return Lambda(value=UNTUNED_LAMBDA, chosen="random weights in both languages, for sizing alone")
    return Lambda(value=1.0, chosen="the Chinese tower was not trained with this image tower")


def list_unread(model: VideoCLIP, labels: Sequence[Label]) -> Iterator[str]:
    """Say which labels are too long for a tower of a model, or hold what its vocabulary does not.

    Raises:
        ValueError: the model was built without tokenizers.
    """
    if model.tokenizers is None:
        raise ValueError("the model has no tokenizers; build it with tokenizers")
    config, chinese = model.config, model.tokenizers.chinese
    if texts := [label.en for label in labels if label.en is not None]:
        english = model.tokenizers.english.encode(texts, template=config.template_en, word_set=config.scoring.word_set)
        yield from _name(texts, english.truncated, "cut to the length of the English tower")
    if chinese is not None and (texts := [label.zh for label in labels if label.zh is not None]):
        tokens = chinese.encode(texts, template=config.template_zh)
        yield from _name(texts, tokens.truncated, "cut to the length of the Chinese tower")
        yield from _name(texts, tokens.unknown, "with characters that the Chinese vocabulary lacks")


def is_random(towers: PublicBackbone) -> bool:
    """Whether all towers were drawn at random."""
    return bool(towers.origins) and all(origin.family == _RANDOM for origin in towers.origins.values())


def select_label_sets(names: Iterable[str]) -> dict[str, tuple[Label, ...]]:
    """Take built-in label sets by their names, or all of them where none is named.

    Raises:
        SettingError: there is no such label set.
    """
    known = load_builtin_label_sets()
    wanted = tuple(names) or tuple(known)
    if unknown := [name for name in wanted if name not in known]:
        raise SettingError(f"label sets {', '.join(unknown)} are not built in; known are {', '.join(known)}")
    return {name: known[name] for name in wanted}


def _name(texts: Sequence[str], rows: Sequence[int], what: str) -> Iterator[str]:
    if rows:
        yield f"{list_some(rows, render=lambda row: texts[row])}: {what}"


def _describe(towers: PublicBackbone, model: VideoCLIP, *, evidence: AlignmentReport | None) -> Provenance:
    """Say which weights these are, under which licences, and what the evidence for Chinese was."""
    environment = describe_environment()
    weights = {name: asdict(origin) for name, origin in towers.origins.items()}
    config: dict[str, Any] = {"weights": weights, "num_frames": model.config.num_frames}
    if evidence is not None:
        config["chinese_evidence"] = asdict(evidence)
    return Provenance(
        recipe=RECIPE,
        config=config,
        training_data={},
        metrics=(),
        package_versions=environment["package_versions"],
        git_commit=environment["git_commit"],
        licences={name: origin.licence for name, origin in towers.origins.items()},
    )
