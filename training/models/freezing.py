"""Which parameters train: every adapter module says which are its own, and one function freezes the rest."""

from collections.abc import Iterator

from torch import nn

from training.models.deep_prompts import DeepPrompts
from training.models.tds.heads import CosineHead, LinearHead
from training.models.tds.side_network import SideNetwork
from training.models.temporal_prompts import TemporalPrompts

_ADAPTERS = (TemporalPrompts, DeepPrompts, SideNetwork, LinearHead, CosineHead)
_ADAPTER_PARAMETERS = ("temporal_embedding",)
_IMAGE_TOWER, _TEXT_TOWER = "video.visual.", "english."
# Fine-tuned CLIP keeps the vectors of its vocabulary (Rasheed et al. 2023).
_TOKEN_EMBEDDING = "english.token_embedding."
_LOGIT_SCALE = "logit_scale"


def adapter_parameter_names(model: nn.Module) -> set[str]:
    """Names of all parameters that belong to adapters."""
    names = {name for name, _ in model.named_parameters() if name.rsplit(".", 1)[-1] in _ADAPTER_PARAMETERS}
    for prefix, module in model.named_modules():
        if isinstance(module, _ADAPTERS):
            names |= {f"{prefix}.{name}" for name, _ in module.named_parameters()}
    return names


def adapter_modules(model: nn.Module) -> Iterator[nn.Module]:
    """Iterate over the modules that train as a whole, running statistics included."""
    return (module for module in model.modules() if isinstance(module, _ADAPTERS))


def tuned_towers(model: nn.Module) -> Iterator[nn.Module]:
    """Iterate over the towers of which more trains than adapters inside them."""
    adapters = adapter_parameter_names(model)
    for prefix in (_IMAGE_TOWER, _TEXT_TOWER):
        if any(
            p.requires_grad and name.startswith(prefix) and name not in adapters for name, p in model.named_parameters()
        ):
            yield model.get_submodule(prefix.removesuffix("."))


def freeze_towers(model: nn.Module, *, tune_image_tower: bool, tune_text_tower: bool = False) -> None:
    """Make exactly the adapters trainable, and the towers that are tuned; with both, the logit scale as well."""
    adapters = adapter_parameter_names(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(
            name in adapters
            or (tune_image_tower and name.startswith(_IMAGE_TOWER))
            or (tune_text_tower and name.startswith(_TEXT_TOWER) and not name.startswith(_TOKEN_EMBEDDING))
            or (tune_image_tower and tune_text_tower and name == _LOGIT_SCALE)
        )


def parameter_groups(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Count (trainable, frozen) parameters by group: the first component of the name, and the kind of adapter."""
    groups: dict[str, list[int]] = {}
    for name, parameter in model.named_parameters():
        counts = groups.setdefault(_group(name), [0, 0])
        counts[0 if parameter.requires_grad else 1] += parameter.numel()
    return {group: (trainable, frozen) for group, (trainable, frozen) in groups.items()}


def _group(name: str) -> str:
    if ".reparameterization." in name:
        return "reparameterization"
    for part in ("vl_prompts", "side", "head"):
        if f".{part}." in name:
            return part
    if ".prompts." in name or name.endswith("temporal_embedding"):
        return "temporal_prompts"
    return name.split(".", 1)[0]
