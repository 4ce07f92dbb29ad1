"""Names of classes from the vectors of their words."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.training.importers.towers import CONFIG, draw_clip, write_towers
from tests.training.importers.vifi import tokenize
from training.errors import ImportProblem
from training.importers.class_texts import ClassTexts, find_rows, read_class_texts
from training.importers.container import Checkpoint
from training.importers.conversion import ImportSource
from training.runs.backbone import Backbone, read_backbone

TABLE = draw_clip(0)["token_embedding.weight"]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return read_backbone(write_towers(tmp_path_factory.mktemp("texts") / "backbone", draw_clip(0)))


def read(vectors: Tensor, *, backbone: Backbone) -> ClassTexts:
    given = ImportSource(Checkpoint(Path("file.pth"), "", {"texts": vectors}, {}), backbone)
    return read_class_texts(given, names=["texts"], num_prompts=0)


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("a photo of a {}.", ("waving", "tai chi")),
        ("{}.", ("waving", "rock-paper (best of 3)", "child's play", "lifting [something], slowly")),
        ("{}", ("waving", "太极", "ümlaut")),
    ],
)
def test_names_and_template_are_read_back(backbone: Backbone, template: str, names: tuple[str, ...]) -> None:
    ids = tokenize([template.format(name) for name in names], config=CONFIG)
    assert read(TABLE[ids], backbone=backbone) == ClassTexts(len(names), template, names)


@pytest.mark.parametrize("name", ["cat", ""])
def test_names_that_are_not_certain_are_left_out(backbone: Backbone, name: str) -> None:
    ids = tokenize(["a photo of a cat.", f"a photo of a {name}."], config=CONFIG)
    assert read(TABLE[ids], backbone=backbone) == ClassTexts(2, "a photo of a {}.", None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rows_are_found_in_any_precision(dtype: torch.dtype) -> None:
    table = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[3, 49, 0], [7, 3, 3]])
    assert torch.equal(find_rows(table[ids].to(dtype).float(), table=table, source="it"), ids)


def test_vector_that_is_no_row_is_refused() -> None:
    with pytest.raises(
        ImportProblem, match="it keeps words of its classes that the backbone's vocabulary does not have"
    ):
        find_rows(torch.zeros(1, 2, 16), table=TABLE, source="it")
