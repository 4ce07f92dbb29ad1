"""Where tokens lie, and which taps of a kernel they reach."""

import pytest
import torch
from torch import nn

from tests.training.models.reparameterization.slow import WIDTH, build
from training.models.reparameterization.layouts import TokenCells, lay_out

COLUMN, ALL = [[0, 1, 0]] * 3, [[1, 1, 1]] * 3
NONE = [[0, 0, 0]] * 3


@pytest.mark.parametrize(("num_tokens", "rows", "columns"), [(1, 1, 1), (13, 4, 4), (17, 5, 4), (25, 5, 5), (41, 7, 6)])
def test_grid_is_nearly_square(num_tokens: int, rows: int, columns: int) -> None:
    assert lay_out("grid", num_tokens=num_tokens) == TokenCells(num_tokens, num_rows=rows, num_columns=columns)


@pytest.mark.parametrize("layout", ["line", "plane"])
def test_other_layouts_have_a_row_a_token(layout: str) -> None:
    cells = lay_out(layout, num_tokens=17)  # type: ignore[arg-type]
    assert cells == TokenCells(17, num_rows=17, num_columns=1)


def test_tokens_fill_rows_in_their_order() -> None:
    cells = lay_out("grid", num_tokens=5)
    volume = cells.fold(torch.arange(1.0, 11).reshape(1, 2, 5, 1))
    assert volume[0, 0].tolist() == [[[1, 2], [3, 4], [5, 0]], [[6, 7], [8, 9], [10, 0]]]
    assert cells.unfold(volume).flatten().tolist() == list(range(1, 11))


@pytest.mark.parametrize(
    ("kind", "layout", "expected"),
    [
        ("r2plus1d", "grid", [ALL]),
        ("r2plus1d", "line", [COLUMN]),
        ("r2plus1d", "plane", [ALL]),
        ("tada", "grid", [ALL]),
        ("tada", "line", [COLUMN]),
        ("tada", "plane", [ALL]),
        ("c3d", "grid", [ALL, ALL, ALL]),
        ("c3d", "line", [COLUMN, COLUMN, COLUMN]),
        ("c3d", "plane", [NONE, ALL, NONE]),
    ],
)
def test_taps_that_get_a_gradient(kind: str, layout: str, expected: list[list[list[int]]]) -> None:
    beta = build(5, beta=kind, beta_layout=layout)
    beta(torch.randn(2, 3, 5, WIDTH)).sum().backward()
    kernels = [each.weight.grad for each in beta.modules() if isinstance(each, nn.Conv3d) and each.kernel_size[1] == 3]
    assert [(kernel.abs().sum((0, 1)) > 0).int().tolist() for kernel in kernels if kernel is not None] == [expected] * 2


def test_temporal_taps_of_r2plus1d_all_get_a_gradient() -> None:
    beta = build(5)
    beta(torch.randn(2, 3, 5, WIDTH)).sum().backward()
    kernels = [each.weight.grad for each in beta.modules() if isinstance(each, nn.Conv3d) and each.kernel_size[1] == 1]
    assert [(kernel.abs().sum((0, 1)) > 0).flatten().tolist() for kernel in kernels if kernel is not None] == [
        [True] * 3
    ] * 2
