"""The shift of class tokens: a literal table, and the loop over numbers."""

import numpy as np
import torch

from tests.training.models.tds.slow import array, shift
from training.models.tds.cls_shift import shift_cls


def test_halves_move_in_opposite_directions() -> None:
    cls_tokens = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0]]])
    expected = [[[5.0, 6.0, 0.0, 0.0], [9.0, 10.0, 3.0, 4.0], [0.0, 0.0, 7.0, 8.0]]]
    assert shift_cls(cls_tokens).tolist() == expected


def test_shift_equals_the_loop_over_numbers() -> None:
    cls_tokens = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(3))
    assert np.array_equal(array(shift_cls(cls_tokens)), shift(array(cls_tokens)))
