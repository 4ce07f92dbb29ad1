"""Names of classes that a checkpoint keeps as vectors of their words: each vector is a row of CLIP's vocabulary.

That also shows whether a backbone is the one that a checkpoint was trained from.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer, decoders
from torch import Tensor

from service.contract.tokenizer import END, EnglishTokenizer
from training.errors import ImportProblem
from training.importers.conversion import ImportSource
from training.importers.mapping import check_tensors
from training.models.tokenizers import WORD_END

_TABLE = "token_embedding.weight"
# The more particular ones first.
_TEMPLATES = ("a photo of a {}.", "{}.", "{}")
# Between words and such signs a text that was put together again has spaces that nobody writes.
_TIGHT = re.compile(r"(?<=[(\[]) | ?[-/'] ?| (?=[),.!?:;\]])")


@dataclass(frozen=True)
class ClassTexts:
    """The classes of a checkpoint: how many, the template they stand in, and their names where these are certain."""

    num_classes: int
    template: str
    names: tuple[str, ...] | None


def read_class_texts(given: ImportSource, *, names: Sequence[str], num_prompts: int) -> ClassTexts:
    """Read the classes' texts from the vectors of their words.

    The vectors of a text lie in one tensor, or its start in the first of two; ``num_prompts`` positions are left out.
    Names are certain where they give the same words again.

    Raises:
        ImportProblem: a tensor is missing or of another shape, or a vector is none of the backbone's vocabulary.
    """
    vectors, tokenizer = _join(given, names=names, num_prompts=num_prompts), given.backbone.tokenizers.english
    rows = find_rows(vectors, table=given.backbone.clip[_TABLE], source=given.source).tolist()
    entries = Tokenizer.from_str(tokenizer.to_json())
    end = entries.token_to_id(END)
    rows = [row[1 : row.index(end)] if end in row else row[1:] for row in rows]
    texts = [_decode([str(entries.id_to_token(each)) for each in row]) for row in rows]
    template = next(each for each in _TEMPLATES if all(_strip(text, template=each) is not None for text in texts))
    found = [
        _find_name(text, row, template=template, tokenizer=tokenizer) for text, row in zip(texts, rows, strict=True)
    ]
    certain = tuple(name for name in found if name is not None)
    return ClassTexts(len(rows), template, certain if len(set(certain)) == len(rows) else None)


def _join(given: ImportSource, *, names: Sequence[str], num_prompts: int) -> Float[Tensor, "K length D"]:
    """Join the parts of the texts along their positions."""
    width = given.backbone.clip[_TABLE].shape[1]
    length = given.backbone.config.clip.context_length - num_prompts
    lengths = [length] if len(names) == 1 else [1, length - 1]
    parts = {name: given.checkpoint.tensors[name] for name in names if name in given.checkpoint.tensors}
    num_classes = max((len(each) for each in parts.values() if each.ndim), default=0)
    expected = {name: torch.empty(num_classes, each, width) for name, each in zip(names, lengths, strict=True)}
    check_tensors(parts, expected=expected, source=given.source)
    return torch.cat([parts[name] for name in names], dim=1)


def _strip(text: str, *, template: str) -> str | None:
    """Return what stands inside a template, or None for a text that does not fit it; "{}" fits all."""
    before, after = template.split("{}")
    fits = text.startswith(before) and text.endswith(after)
    return text[len(before) : len(text) - len(after)].strip() if fits else None


def _find_name(text: str, row: Sequence[int], *, template: str, tokenizer: EnglishTokenizer) -> str | None:
    """Return the name that gives a row of token ids inside a template, as people write it where that is the same."""
    bare = _strip(text, template=template) or ""
    for name in (_TIGHT.sub(lambda found: found[0].strip(), bare), bare):
        tokens = tokenizer.encode([name], template=template, word_set="label")
        if name and tokens.token_ids[0, 1 : tokens.eot_index[0]].tolist() == list(row):
            return name
    return None


def find_rows(
    vectors: Float[Tensor, "K length D"], *, table: Float[Tensor, "V D"], source: str
) -> Int[Tensor, "K length"]:
    """Find which row of a table each vector is, but for rounding to half precision.

    Raises:
        ImportProblem: a vector is no row.
    """
    for dtype in (torch.half, torch.bfloat16):
        ids = _look_up(vectors, table=table, dtype=dtype)
        if ids is not None:
            return ids
    raise ImportProblem(
        f"{source} keeps words of its classes that the backbone's vocabulary does not have; give the backbone that it "
        "was trained from"
    )


def _look_up(
    vectors: Float[Tensor, "K length D"], *, table: Float[Tensor, "V D"], dtype: torch.dtype
) -> Int[Tensor, "K length"] | None:
    # NumPy has no bfloat16, so bits are compared.
    known = {row.tobytes(): index for index, row in enumerate(table.to(dtype).view(torch.int16).numpy())}
    wanted = vectors.to(dtype).view(torch.int16).flatten(0, 1).numpy()
    found = [known.get(row.tobytes()) for row in wanted]
    if None in found:
        return None
    return torch.tensor(found).unflatten(0, vectors.shape[:2])


def _decode(entries: Sequence[str]) -> str:
    words = "".join(entries).split(WORD_END)
    return " ".join(decoders.ByteLevel().decode([word]) for word in words if word)
