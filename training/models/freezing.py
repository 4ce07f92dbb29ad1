"""Which parameters train: every adapter module says which are its own, and one function freezes the rest."""

from collections.abc import Iterator

from torch import nn

from training.models.temporal_prompts import TemporalPrompts

_ADAPTERS = (TemporalPrompts,)
_ADAPTER_PARAMETERS = ("temporal_embedding",)
_IMAGE_TOWER = "video.visual."


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


def freeze_towers(model: nn.Module, *, tune_image_tower: bool) -> None:
    """Make exactly the adapters trainable, and the image tower where it is tuned."""
    names = adapter_parameter_names(model)
    if tune_image_tower:
        names |= {name for name, _ in model.named_parameters() if name.startswith(_IMAGE_TOWER)}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names)


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
    if ".prompts." in name or name.endswith("temporal_embedding"):
        return "temporal_prompts"
    return name.split(".", 1)[0]
