"""Which parameters decay, and the learning rate at every step."""

import pytest
from torch import nn

from tests.training.fine_tuned import FINE_TUNED, PROMPTED
from tests.training.tiny import tiny_model
from training.fitting.optimizer import build_optimizer, decays, learning_rate_factor, set_learning_rate


def test_learning_rate_warms_up_and_falls_by_a_cosine() -> None:
    shares = [learning_rate_factor(step, num_steps=6, num_warmup_steps=2) for step in range(7)]
    assert shares == pytest.approx([0.5, 1.0, 1.0, 0.853553, 0.5, 0.146447, 0.0], abs=1e-6)


def test_learning_rate_falls_to_its_final_share() -> None:
    shares = [learning_rate_factor(step, num_steps=4, num_warmup_steps=0, final_share=0.01) for step in (0, 2, 4)]
    assert shares == pytest.approx([1.0, 0.505, 0.01])


def test_learning_rate_without_warm_up_starts_at_the_peak() -> None:
    assert learning_rate_factor(0, num_steps=3, num_warmup_steps=0) == 1.0


def test_norms_biases_and_prompts_do_not_decay() -> None:
    named = [(name, p) for name, p in tiny_model().video.named_parameters() if p.requires_grad]
    layer = {name.removeprefix("prompts.0.") for name, p in named if decays(name, p) and name.startswith("prompts.0.")}
    block = [f"reparameterization.block.{unit}.{conv}.weight" for unit in (0, 1) for conv in (0, 3)]
    assert layer == {
        "project_cls.weight",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "reparameterization.down.weight",
        "reparameterization.up.weight",
        *block,
    }


def test_prompts_of_both_towers_do_not_decay() -> None:
    named = [(name, p) for name, p in tiny_model(PROMPTED).named_parameters() if p.requires_grad]
    assert [name for name, _ in named] == ["video.vl_prompts.prompt_tokens", "english.vl_prompts.prompt_tokens"]
    assert not any(decays(name, p) for name, p in named)


def test_everything_decays_where_that_is_asked() -> None:
    model = tiny_model(FINE_TUNED)
    optimizer = build_optimizer(model, learning_rate=0.1, weight_decay=0.2, betas=(0.9, 0.98), eps=1e-6, decay_all=True)
    (group,) = optimizer.param_groups
    assert (group["weight_decay"], group["eps"], group["betas"]) == (0.2, 1e-6, (0.9, 0.98))
    assert len(group["params"]) == len(list(model.trainable_parameters()))


def test_optimizer_holds_every_trainable_parameter_once() -> None:
    model = tiny_model()
    optimizer = build_optimizer(model, learning_rate=0.1, weight_decay=0.2, betas=(0.9, 0.99))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.2, 0.0]
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.trainable_parameters())


def test_learning_rate_is_set_for_all_groups() -> None:
    optimizer = build_optimizer(tiny_model(), learning_rate=0.1, weight_decay=0.2, betas=(0.9, 0.99))
    set_learning_rate(optimizer, 0.03)
    assert [group["lr"] for group in optimizer.param_groups] == [0.03, 0.03]


def test_model_without_adapters_is_refused() -> None:
    with pytest.raises(ValueError, match="no trainable parameter"):
        build_optimizer(nn.ReLU(), learning_rate=0.1, weight_decay=0.2, betas=(0.9, 0.99))
