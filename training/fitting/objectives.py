"""What a step minimises, with a whole model and over all processes: the gradients it leaves are those of one loss.

The losses on arrays are in ``losses``; the update that follows is in ``step``.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import torch
from accelerate import Accelerator
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from training.config.fitting import FitConfig
from training.data.loader import ClipBatch
from training.fitting.losses import Losses, classification_loss, dual_semantic_loss, label_logits, soft_targets
from training.fitting.mixing import draw_mix, mix_frames, mix_targets
from training.fitting.texts import TextBank, Texts
from training.models.video_clip import LabelTokens, VideoCLIP
from training.processes.sharding import share_module, share_pass

Check = Callable[[Mapping[str, Tensor | None]], None]


class Objective(Protocol):
    """A loss of clips, and the way to its gradients."""

    def differentiate(self, batch: ClipBatch, *, step: int, check: Check) -> Losses:
        """Add the gradients of the loss over all processes to the parameters; returns that loss.

        ``check`` is called with what the forward pass gave, before gradients are used.
        """


class ContrastiveObjective:
    """The loss of ``dual_semantic``: clips of all processes together, with the texts of their labels."""

    def __init__(self, model: VideoCLIP, *, bank: TextBank, config: FitConfig, accelerator: Accelerator) -> None:
        """Prepare the video tower for several processes."""
        self._accelerator = accelerator
        self._config = config
        self._dtype = bank.english.dtype
        self._encoder = share_module(model.video, accelerator=accelerator)
        self._loss = partial(
            dual_semantic_loss, bank=bank, scoring=model.config.scoring, label_smoothing=config.label_smoothing
        )

    def differentiate(self, batch: ClipBatch, *, step: int, check: Check) -> Losses:  # noqa: ARG002
        """Add the gradients of the loss over all processes to the parameters; returns that loss."""
        with _mixed_precision(self._config, self._accelerator):
            features: Tensor = self._encoder(batch.frames)
        frames, label_ids = self._gather(features.to(self._dtype), batch.label_ids)
        losses: Losses = self._loss(frames, label_ids)
        check({"frame features": frames, "L_VT": losses.english, "L_VC": losses.chinese})
        # The loss of each process differentiates its own clips only, and the norms pass on what they took from the
        # clips of others: the gradients of all processes add up to that of the loss, but they are averaged.
        self._accelerator.backward(losses.total * self._accelerator.num_processes)
        return losses

    def _gather(
        self, features: Float[Tensor, "B T D"], label_ids: Int64[Tensor, " B"]
    ) -> tuple[Float[Tensor, "G T D"], Int64[Tensor, " G"]]:
        """Join the batches of all processes; gradients flow to this process's own features."""
        if self._accelerator.num_processes == 1:
            return features, label_ids
        parts = list(self._accelerator.gather(features.detach()).split(len(features)))
        parts[self._accelerator.process_index] = features
        return torch.cat(parts), self._accelerator.gather(label_ids)


class ClassificationObjective:
    """The loss of fine-tuned and prompted CLIP and of side networks: each clip's cross entropy over all labels.

    It is a mean over clips, so processes and passes share it without seeing each other's features; batch norms see the
    clips of one pass of all processes. Labels are encoded once a pass where the text tower trains, once a run where it
    is frozen, and never for a closed set of classes.
    """

    def __init__(self, model: VideoCLIP, *, texts: Texts, config: FitConfig, accelerator: Accelerator) -> None:
        """Prepare everything that trains, as one module, for several processes."""
        self._accelerator = accelerator
        self._config = config
        self._fusion = model.config.adapters.fusion
        self._num_labels = _count_labels(model, texts)
        self._towers = share_module(_Towers(model, texts=texts), accelerator=accelerator)

    def differentiate(self, batch: ClipBatch, *, step: int, check: Check) -> Losses:
        """Add the gradients of the loss over all processes to the parameters; returns that loss."""
        frames, targets = self._targets(batch, step=step)
        size = self._config.clips_per_pass or len(frames)
        passes = list(zip(frames.split(size), targets.split(size), strict=True))
        total = targets.new_zeros(())
        for index, (some_frames, some_targets) in enumerate(passes):
            is_last = index == len(passes) - 1
            with share_pass(self._towers, accelerator=self._accelerator, is_last=is_last):
                loss = self._loss(some_frames, some_targets, check=check) * (len(some_frames) / len(frames))
                self._accelerator.backward(loss)
            total += loss.detach()
        if self._accelerator.num_processes > 1:
            total = self._accelerator.reduce(total, reduction="mean")
        check({"loss": total})
        return Losses(total, total, None)

    def _loss(
        self, frames: UInt8[Tensor, "B T *n S S 3"], targets: Float[Tensor, "B L"], *, check: Check
    ) -> Float[Tensor, ""]:
        with _mixed_precision(self._config, self._accelerator):
            features, texts, logit_scale = self._towers(frames)
        features, texts = features.to(targets.dtype), None if texts is None else texts.to(targets.dtype)
        # Alone a process could not stop for its own features: the others would wait for it.
        if self._accelerator.num_processes == 1:
            check({"frame features": features, "label embeddings": texts})
        if texts is None:
            return classification_loss(features[:, 0], targets)
        return classification_loss(label_logits(features, texts, logit_scale, fusion=self._fusion), targets)

    def _targets(self, batch: ClipBatch, *, step: int) -> tuple[UInt8[Tensor, "B T *n S S 3"], Float[Tensor, "B L"]]:
        """Give clips their targets, and mix them where the config says so, also with clips of other processes."""
        soften = partial(
            soft_targets,
            num_labels=self._num_labels,
            label_smoothing=self._config.label_smoothing,
            dtype=torch.get_default_dtype(),
        )
        if not self._config.mixes_clips:
            return batch.frames, soften(batch.label_ids)
        rank, num_processes = self._accelerator.process_index, self._accelerator.num_processes
        num_clips = len(batch.frames) * num_processes
        mix = draw_mix(num_clips, size_pixels=batch.frames.shape[2], config=self._config, step=step)
        # Clip i of the whole batch is with process i % n, and gathered clips are ordered by process.
        partners = torch.from_numpy(mix.partners[rank::num_processes]).to(batch.label_ids.device)
        rows = partners % num_processes * len(batch.frames) + partners // num_processes
        frames, label_ids = self._accelerator.gather((batch.frames, batch.label_ids))
        targets = mix_targets(soften(batch.label_ids), soften(label_ids[rows]), mix=mix)
        return mix_frames(batch.frames, frames[rows], mix=mix), targets


class _Towers(nn.Module):
    """Everything of a model that the loss over all labels reaches, as one forward pass."""

    logit_scale: Tensor

    def __init__(self, model: VideoCLIP, *, texts: Texts) -> None:
        super().__init__()
        self.video = model.video
        if model.logit_scale is None:
            scale = torch.tensor(-math.log(model.config.scoring.tau), device=model.video.visual.proj.device)
            self.register_buffer("logit_scale", scale, persistent=False)
        else:
            self.logit_scale = model.logit_scale
        self.english: nn.Module | None = model.english if isinstance(texts, LabelTokens) else None
        self._texts = texts

    def forward(
        self, frames: UInt8[Tensor, "B T *n S S 3"]
    ) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "L D"] | None, Float[Tensor, ""]]:
        """Return features of clips, embeddings of all labels if they have any, and the logarithm of the logit scale."""
        features: Tensor = self.video(frames)
        if not isinstance(self._texts, LabelTokens):
            return features, None if self._texts is None else self._texts.english, self.logit_scale
        assert self.english is not None
        embeddings, _ = self.english(self._texts.token_ids, self._texts.eot_index)
        return features, embeddings, self.logit_scale


def _count_labels(model: VideoCLIP, texts: Texts) -> int:
    if texts is None:
        num_classes = model.config.adapters.num_classes
        assert num_classes is not None, f"{model.config.method} is given no texts"
        return num_classes
    return len(texts.english if isinstance(texts, TextBank) else texts.token_ids)


def _mixed_precision(config: FitConfig, accelerator: Accelerator) -> torch.autocast:
    return torch.autocast(accelerator.device.type, torch.bfloat16, enabled=config.precision == "bf16")
