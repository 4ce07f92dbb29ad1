"""One optimisation step, the same for one process as for several: features, loss, checks, and the clipped update.

Which clips come when is planned in ``data.loader``; runs with their files are in ``fit``.
"""

from functools import partial

import torch
from accelerate import Accelerator
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim import AdamW

from training.config import FitConfig
from training.data.loader import ClipBatch
from training.errors import DivergenceError
from training.losses import Losses, TextBank, dual_semantic_loss
from training.models.freezing import adapter_modules
from training.models.synchronised_norm import synchronise_batch_norms
from training.models.video_clip import VideoCLIP
from training.optim import build_optimizer, set_learning_rate


class Optimisation:
    """A model in training, with its optimizer.

    The loss and the batch norms see the clips of all processes, and every process gets the gradient of that one loss.
    Steps therefore do not depend on how many processes share a batch, beyond rounding.
    """

    def __init__(self, model: VideoCLIP, *, bank: TextBank, config: FitConfig, accelerator: Accelerator) -> None:
        """Prepare a model for training in place."""
        self._model = model
        self._bank = bank
        self._config = config
        self._accelerator = accelerator
        self.optimizer: AdamW = build_optimizer(
            model, learning_rate=config.learning_rate, weight_decay=config.weight_decay, betas=config.betas
        )
        prepare_modes(model)
        if accelerator.num_processes > 1:
            synchronise_batch_norms(model.video, device=accelerator.device)
        self._encoder: nn.Module = accelerator.prepare_model(model.video)
        self._loss = partial(dual_semantic_loss, bank=bank, config=model.config, label_smoothing=config.label_smoothing)

    def take_step(self, batch: ClipBatch, *, learning_rate: float, step: int) -> tuple[Losses, float]:
        """Update the weights by this process's clips; returns the losses and the gradient's norm of all processes.

        Raises:
            DivergenceError: a number is not finite; all processes raise it, and the weights are untouched.
        """
        set_learning_rate(self.optimizer, learning_rate)
        with torch.autocast(self._accelerator.device.type, torch.bfloat16, enabled=self._config.precision == "bf16"):
            features: Tensor = self._encoder(batch.frames)
        frames, label_ids = self._gather(features.to(self._bank.english.dtype), batch.label_ids)
        losses: Losses = self._loss(frames, label_ids)
        self._check_forward({"frame features": frames, "L_VT": losses.english, "L_VC": losses.chinese}, step=step)
        # The loss of each process differentiates its own clips only, and the norms pass on what they took from the
        # clips of others: the gradients of all processes add up to that of the loss, but they are averaged.
        self._accelerator.backward(losses.total * self._accelerator.num_processes)
        norm = self._clip_gradients(step=step)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return losses, norm.item()

    def _gather(
        self, features: Float[Tensor, "B T D"], label_ids: Int64[Tensor, " B"]
    ) -> tuple[Float[Tensor, "G T D"], Int64[Tensor, " G"]]:
        """Join the batches of all processes; gradients flow to this process's own features."""
        if self._accelerator.num_processes == 1:
            return features, label_ids
        parts = list(self._accelerator.gather(features.detach()).split(len(features)))
        parts[self._accelerator.process_index] = features
        return torch.cat(parts), self._accelerator.gather(label_ids)

    def _check_forward(self, results: dict[str, Tensor | None], *, step: int) -> None:
        """Stop where a result is not finite, naming the weight or text behind it where there is one."""
        if all(tensor is None or tensor.isfinite().all() for tensor in results.values()):
            return
        weights = {f"parameter {name}": parameter for name, parameter in self._model.named_parameters()}
        texts = {"English texts": self._bank.english, "English words": self._bank.words,
                 "Chinese texts": self._bank.chinese}  # fmt: skip
        require_finite({**weights, **texts, **results}, step=step)

    def _clip_gradients(self, *, step: int) -> Float[Tensor, ""]:
        """Bound the gradient's norm, and return what it was."""
        named = [(name, each) for name, each in self._model.named_parameters() if each.grad is not None]
        norm = nn.utils.get_total_norm([each.grad for _, each in named if each.grad is not None])
        if not norm.isfinite():
            gradients = {f"gradient of {name}": each.grad for name, each in named}
            require_finite({**gradients, "norm of the gradient": norm}, step=step)
        nn.utils.clip_grads_with_norm_([each for _, each in named], self._config.max_gradient_norm, norm)
        return norm


def prepare_modes(model: nn.Module) -> None:
    """Put adapters in training mode, where batch norms learn statistics, and frozen towers in evaluation mode."""
    model.eval()
    for module in adapter_modules(model):
        module.train()


def require_finite(tensors: dict[str, Tensor | None], *, step: int) -> None:
    """Stop a run before its weights are touched.

    Raises:
        DivergenceError: names the first tensor with a number that is not finite, and the step.
    """
    for name, tensor in tensors.items():
        if tensor is not None and not tensor.isfinite().all():
            raise DivergenceError(
                f"{name} is not finite at step {step}; the weights are those of the step before. Lower learning_rate, "
                "or resume from the last checkpoint with another"
            )
