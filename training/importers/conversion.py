"""What every family's importer takes and gives, and what they share: labels, shapes, and comparing frozen towers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from service.contract.labels import Label
from service.contract.manifest import Preprocessing
from service.contract.wording import list_some
from training.config.model import ModelConfig
from training.errors import ImportProblem
from training.importers.container import Checkpoint
from training.importers.mapping import Tensors
from training.models.builders import build_model
from training.runs.backbone import Backbone

Preset = Literal["ssv", "k400"]
PRESETS: tuple[Preset, ...] = ("ssv", "k400")
# The side of a crop in pixels that published sizes of pictures are stated for.
_PUBLISHED_CROP = 224
_MAX_NAMED = 3


@dataclass(frozen=True)
class ImportSource:
    """A checkpoint to import, the backbone it was trained from, and what its file may not say.

    ``preset`` names the data set whose way to cut pictures and to sample frames a side network was trained with.
    """

    checkpoint: Checkpoint
    backbone: Backbone
    num_frames: int | None = None
    labels: tuple[Label, ...] | None = None
    preset: Preset | None = None

    @property
    def source(self) -> str:
        """The name under which messages speak of the file."""
        return self.checkpoint.path.name

    def require_frames(self, stated: int | None) -> int:
        """Return the frames of a clip, as given or else as the file states.

        Raises:
            ImportProblem: neither says it.
        """
        if self.num_frames is not None:
            return self.num_frames
        if stated is None:
            raise ImportProblem(f"{self.source} does not say how many frames its clips have; give --frames")
        return stated

    def choose_labels(self, *, num_classes: int, found: Sequence[str] | None) -> tuple[Label, ...]:
        """Return the labels that a checkpoint was trained on: those given, or else those found in the file.

        Raises:
            ImportProblem: there are none, or not as many as classes.
        """
        if self.labels is None and found is None:
            raise ImportProblem(
                f"{self.source} does not name its {num_classes} classes; give --labels with a table id,en,zh of them"
            )
        labels = tuple(Label(name) for name in found or ()) if self.labels is None else self.labels
        if len(labels) != num_classes:
            raise ImportProblem(
                f"{self.source} was trained on {num_classes} classes, but {len(labels)} labels were given; give the "
                "table of its own classes"
            )
        return labels


@dataclass(frozen=True)
class Converted:
    """A checkpoint under our names: the model, the towers it stands on, everything else it has, and its labels.

    ``remarks`` say what of the file, or of how its authors used it, is left behind.
    """

    model: ModelConfig
    backbone: Backbone
    adapters: dict[str, Tensor]
    labels: tuple[Label, ...]
    licence: str
    remarks: tuple[str, ...] = ()


def list_changed(tensors: Tensors, *, reference: Tensors, names: Iterable[str]) -> list[str]:
    """List the tensors that differ from those of a backbone by more than rounding to half precision."""
    return [name for name in names if not _is_same(tensors[name], reference[name])]


def require_same(tensors: Tensors, *, reference: Tensors, names: Iterable[str], source: str, part: str) -> None:
    """Check that a frozen part of a checkpoint is that of the backbone.

    Raises:
        ImportProblem: tensors differ; the first are named.
    """
    changed = list_changed(tensors, reference=reference, names=names)
    if changed:
        raise ImportProblem(
            f"{source} was trained with {part} frozen, but these tensors are not the backbone's: "
            f"{list_some(changed, num_named=_MAX_NAMED)}; give the backbone that it was trained from"
        )


def shapes_of(model: ModelConfig, *, backbone: Backbone) -> dict[str, Tensor]:
    """Return the state of a model on a backbone, in shapes without values."""
    with torch.device("meta"):
        return build_model(backbone.configure(model)).state_dict()


def with_preprocessing(given: ImportSource, *, preprocessing: Preprocessing) -> Backbone:
    """Return the backbone without its Chinese tower, which no family trained, for pictures as a family cuts them."""
    own = given.backbone
    return replace(
        own,
        config=replace(own.config, chinese=None, preprocessing=preprocessing),
        chinese=None,
        tokenizers=replace(own.tokenizers, chinese=None),
    )


def scale_pixels(pixels: int, *, input_size: int) -> int:
    """Scale a published size of pictures to towers that take other crops than 224 pixels."""
    return round(pixels * input_size / _PUBLISHED_CROP)


def _is_same(tensor: Float[Tensor, "*shape"], reference: Float[Tensor, "*shape"]) -> bool:
    return any(
        torch.equal(tensor, reference.to(dtype).float()) for dtype in (reference.dtype, torch.half, torch.bfloat16)
    )
