"""One optimisation step, the same for one process as for several: gradients, checks, and the clipped update.

What is minimised is in ``objectives``, which clips come when in ``data.loader``; runs with their files are in ``fit``.
"""

from collections.abc import Mapping

from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW

from training.config.fitting import FitConfig
from training.data.loader import ClipBatch
from training.errors import DivergenceError
from training.fitting.losses import Losses
from training.fitting.objectives import ClassificationObjective, ContrastiveObjective, Objective
from training.fitting.optimizer import build_optimizer, set_learning_rate
from training.fitting.texts import TextBank, Texts
from training.models.freezing import adapter_modules, tuned_towers
from training.models.synchronised_norm import synchronise_batch_norms
from training.models.video_clip import VideoCLIP
from training.processes.sharding import gradient_norm, is_finite, spread


class Optimisation:
    """A model in training, with its optimizer.

    The loss and the batch norms see the clips of all processes, and every process gets the gradient of that one loss.
    Steps therefore do not depend on how many processes share a batch, beyond rounding.
    """

    def __init__(
        self, model: VideoCLIP, *, texts: Texts, config: FitConfig, accelerator: Accelerator, shard: bool = False
    ) -> None:
        """Prepare a model for training in place; with ``shard`` it is spread over the processes and stays so.

        Raises:
            ValueError: labels that are not encoded yet are given to a method whose texts are frozen.
        """
        if accelerator.num_processes > 1:
            synchronise_batch_norms(model.video, device=accelerator.device)
        if shard:
            spread(model, accelerator=accelerator)
        self._model = model
        self._texts = texts
        self._config = config
        self.optimizer: AdamW = build_optimizer(
            model,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            betas=config.betas,
            eps=config.adam_eps,
            decay_all=config.decay_all,
        )
        prepare_modes(model)
        self._objective: Objective
        if model.config.adapters.loss == "classification":
            self._objective = ClassificationObjective(model, texts=texts, config=config, accelerator=accelerator)
        elif isinstance(texts, TextBank):
            self._objective = ContrastiveObjective(model, bank=texts, config=config, accelerator=accelerator)
        else:
            raise ValueError(
                f"{model.config.method} takes the embeddings of labels, but {type(texts).__name__} was given"
            )

    def take_step(self, batch: ClipBatch, *, learning_rate: float, step: int) -> tuple[Losses, float]:
        """Update the weights by this process's clips; returns the losses and the gradient's norm of all processes.

        Raises:
            DivergenceError: a number is not finite; all processes raise it, and the weights are untouched.
        """
        set_learning_rate(self.optimizer, learning_rate)

        def check(results: Mapping[str, Tensor | None]) -> None:
            self._check_forward(results, step=step)

        losses = self._objective.differentiate(batch, step=step, check=check)
        norm = self._clip_gradients(step=step)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return losses, norm.item()

    def _check_forward(self, results: Mapping[str, Tensor | None], *, step: int) -> None:
        """Stop where a result is not finite, naming the weight or text behind it where there is one."""
        if all(tensor is None or is_finite(tensor) for tensor in results.values()):
            return
        weights = {f"parameter {name}": parameter for name, parameter in self._model.named_parameters()}
        texts: dict[str, Tensor | None] = {}
        if isinstance(self._texts, TextBank):
            texts = {
                "English texts": self._texts.english,
                "English words": self._texts.words,
                "Chinese texts": self._texts.chinese,
            }
        require_finite({**weights, **texts, **results}, step=step)

    def _clip_gradients(self, *, step: int) -> Float[Tensor, ""]:
        """Bound the gradient's norm, and return what it was."""
        named = [(name, each) for name, each in self._model.named_parameters() if each.grad is not None]
        norm = gradient_norm([each.grad for _, each in named if each.grad is not None])
        if not norm.isfinite():
            gradients = {f"gradient of {name}": each.grad for name, each in named}
            require_finite({**gradients, "norm of the gradient": norm}, step=step)
        if self._config.max_gradient_norm is not None:
            nn.utils.clip_grads_with_norm_([each for _, each in named], self._config.max_gradient_norm, norm)
        return norm


def prepare_modes(model: nn.Module) -> None:
    """Put what trains in training mode, where batch norms learn statistics, and frozen towers in evaluation mode."""
    model.eval()
    for module in (*tuned_towers(model), *adapter_modules(model)):
        module.train()


def require_finite(tensors: dict[str, Tensor | None], *, step: int) -> None:
    """Stop a run before its weights are touched.

    Raises:
        DivergenceError: names the first tensor with a number that is not finite, and the step.
    """
    for name, tensor in tensors.items():
        if tensor is not None and not is_finite(tensor):
            raise DivergenceError(
                f"{name} is not finite at step {step}; the weights are those of the step before. Lower learning_rate, "
                "or resume from the last checkpoint with another"
            )
