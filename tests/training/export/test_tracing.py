import torch
from jaxtyping import config
from torch import nn

from service.contract.graphs import GraphSpec, TensorSpec
from training.export.tracing import example_inputs, held_still, traced


def test_examples_have_ones_in_every_type() -> None:
    inputs = (TensorSpec("frames", "uint8", ("views", 4)), TensorSpec("token_ids", "int32", ("labels", "length")))
    frames, token_ids = example_inputs(GraphSpec("graph", inputs, ()))
    assert (frames.dtype, frames.tolist()) == (torch.uint8, [[1] * 4] * 2)
    assert (token_ids.dtype, token_ids.tolist()) == (torch.int32, [[1] * 5] * 3)


def test_module_is_evaluated_and_its_modes_come_back() -> None:
    module = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2).eval())
    with held_still(module):
        assert [part.training for part in module.modules()] == [False, False, False]
        assert not torch.is_grad_enabled()
    assert [part.training for part in module.modules()] == [True, True, False]
    assert torch.is_grad_enabled()


def test_type_checks_are_off_only_while_tracing() -> None:
    before = config.jaxtyping_disable
    with traced(nn.Identity()):
        assert config.jaxtyping_disable
    assert config.jaxtyping_disable == before
