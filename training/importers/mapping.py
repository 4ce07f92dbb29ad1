"""From the names of a family to ours: which family a file is of, renaming by rules, and a check that names all misfits.

The rules themselves stand with the families.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from training.errors import ImportProblem
from training.runs.tensors import describe_misfits

Tensors = Mapping[str, Tensor]
# A pattern of a whole name, and the new name or None for what is left out. Those whose new names end in #0/3, #1/3
# and #2/3 are joined along their first axis.
Rule = tuple[str, str | None]

# Names by which a family is known; the first family that has all of its own is the one.
_MARKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "vl_prompting": (r"image_encoder\.VPT", r"prompt_learner\.ctx"),
        "vificlip": (r"image_encoder\.class_embedding", r"text_encoder\.ln_final\.weight"),
        "vita": (r"visual\.cls_token", r"visual\.blocks\.0\.local_prompts"),
        "tds": (r"visual\.side_conv1\.weight", r"visual\.side_conv1_c5\.weight"),
        "side4video": (r"visual\.side_conv1\.weight",),
        "chinese_clip": (r"(bert|text_model)\.embeddings\.word_embeddings\.weight",),
        "clip of transformers": (r"text_model\.embeddings\.token_embedding\.weight",),
        "clip": (r"visual\.(class_embedding|conv1\.weight)", r"token_embedding\.weight"),
    }
)
_MAX_NAMED = 3


def looks_like(tensors: Iterable[str]) -> str | None:
    """Return the family that a file's names are those of, or None; ``clip`` is OpenAI's or open_clip's."""
    names = list(tensors)
    for family, marks in _MARKS.items():
        if all(any(re.fullmatch(mark, name) for name in names) for mark in marks):
            return family
    return None


def check_family(tensors: Iterable[str], *, family: str, source: str) -> None:
    """Check that a file is of a family.

    Raises:
        ImportProblem: it is of another, which is named, or of none.
    """
    names = list(tensors)
    found = looks_like(names)
    if found is None:
        raise ImportProblem(
            f"{source} is no checkpoint of {family}, nor of another family that is known; its first tensors are "
            f"{', '.join(names[:_MAX_NAMED])}"
        )
    if found != family:
        raise ImportProblem(f"{source} looks like a checkpoint of {found}, not of {family}; import it as what it is")


def rename_tensors(tensors: Tensors, *, rules: Sequence[Rule]) -> dict[str, Tensor]:
    r"""Rename tensors by the first rule that matches their whole name; those that no rule knows keep it.

    ``(r"blocks\.(\d+)\.q", r"layers.\1.qkv#0/3")`` makes the first part of three. Where a part is lacking, the
    others keep their names, so that ``check_tensors`` finds them.

    Raises:
        ImportProblem: two tensors come to have the same name.
    """
    sources: dict[str, str] = {}
    for name in tensors:
        target = _rename(name, rules=rules)
        if target in sources:
            raise ImportProblem(f"both {sources[target]} and {name} are {target}; the file mixes two layouts")
        if target is not None:
            sources[target] = name
    renamed = {target: tensors[name] for target, name in sources.items() if "#" not in target}
    for first in [target for target in sources if "#0/" in target]:
        whole, _, num_parts = first.partition("#0/")
        parts = [sources.get(f"{whole}#{index}/{num_parts}") for index in range(int(num_parts))]
        if None not in parts:
            renamed[whole] = torch.cat([tensors[part] for part in parts if part is not None])
    return renamed | {name: tensors[name] for target, name in sources.items() if _is_left(target, renamed)}


def check_tensors(tensors: Tensors, *, expected: Tensors, source: str) -> None:
    """Check that there are exactly the tensors that are expected, in their shapes; ``expected`` may be without values.

    Raises:
        ImportProblem: names every missing, unexpected and misshapen tensor.
    """
    if misfits := describe_misfits(tensors, expected=expected):
        raise ImportProblem(f"{source} does not hold the tensors of its family. {misfits}")


def _rename(name: str, *, rules: Sequence[Rule]) -> str | None:
    for pattern, target in rules:
        if found := re.fullmatch(pattern, name):
            return None if target is None else found.expand(target)
    return name


def _is_left(target: str, renamed: Tensors) -> bool:
    """Whether a target is a part of a tensor that could not be joined."""
    whole, hash_sign, _ = target.partition("#")
    return bool(hash_sign) and whole not in renamed
