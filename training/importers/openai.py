"""OpenAI's CLIP files: TorchScript archives in half precision with three constants among the tensors.

The constants tell such a file from any other. Its weights were trained with QuickGELU (Radford et al. 2021).
"""

from collections.abc import Mapping

from torch import Tensor

from training.errors import ImportProblem

LICENCE = "MIT (OpenAI CLIP)"
CONSTANTS = frozenset({"input_resolution", "context_length", "vocab_size"})


def is_openai(tensors: Mapping[str, Tensor]) -> bool:
    """Whether tensors come from an archive of OpenAI's."""
    return tensors.keys() >= CONSTANTS


def drop_constants(tensors: Mapping[str, Tensor], *, source: str) -> dict[str, Tensor]:
    """Remove the three constants, after a look whether they agree with the tensors.

    Raises:
        ImportProblem: a constant contradicts the tensor that shows the same size.
    """
    kept = {name: tensor for name, tensor in tensors.items() if name not in CONSTANTS}
    shown = {"context_length": "positional_embedding", "vocab_size": "token_embedding.weight"}
    for constant, name in shown.items():
        stated, found = int(tensors[constant]), len(kept[name]) if name in kept else None
        if found is not None and stated != found:
            raise ImportProblem(f"{source} states {constant} {stated}, but its {name} has {found} rows; fetch it again")
    return kept
