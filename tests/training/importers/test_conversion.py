"""What the families share: comparing with a backbone whatever the file's precision, and scaling sizes."""

import pytest
import torch

from training.errors import ImportProblem
from training.importers.conversion import list_changed, require_same, scale_pixels

OWN = {name: torch.randn(3, 4, generator=torch.Generator().manual_seed(index)) for index, name in enumerate("abcde")}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_towers_are_the_same_in_any_precision(dtype: torch.dtype) -> None:
    stored = {name: tensor.to(dtype).float() for name, tensor in OWN.items()}
    assert list_changed(stored, reference=OWN, names=OWN) == []
    assert list_changed(stored | {"c": stored["c"] * 1.001}, reference=OWN, names=OWN) == ["c"]
    assert list_changed(stored | {"c": stored["c"] * 1.001}, reference=OWN, names="ab") == []


@pytest.mark.parametrize(("changed", "named"), [("b", "b"), ("abc", "a, b, c"), ("abcde", "a, b, c and 2 more")])
def test_changed_tensors_are_named(changed: str, named: str) -> None:
    stored = OWN | {name: OWN[name] + 1 for name in changed}
    message = (
        f"^it was trained with its towers frozen, but these tensors are not the backbone's: {named}; give the backb"
    )
    with pytest.raises(ImportProblem, match=message):
        require_same(stored, reference=OWN, names=OWN, source="it", part="its towers")


@pytest.mark.parametrize(("input_size", "expected"), [(224, 256), (336, 384), (32, 37)])
def test_sizes_follow_the_crop(input_size: int, expected: int) -> None:
    assert scale_pixels(256, input_size=input_size) == expected
