"""A model spread over the processes of a launch, each of which holds its share of weights, gradients and moments.

This is torch's FSDP2: the weights of a layer are gathered while it computes, and its gradients are averaged as they are
shared out. How processes share a step with whole models is accelerate's work; what is here tells the two apart by the
model, so that steps and files are the same for both. The logit scale is a scalar: every process holds it.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import chain
from typing import Any

from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import AdamW

from training.errors import SettingError
from training.models.layer_call import LEND_NAME
from training.models.tds.encoder import SideVideoEncoder
from training.models.video_clip import VideoCLIP

State = dict[str, Any]


def check_shardable(accelerator: Accelerator) -> None:
    """Check that there are processes to spread a model over.

    Raises:
        SettingError: this process is alone.
    """
    if accelerator.num_processes == 1:
        raise SettingError(
            "--shard spreads the model over the processes of a launch, but this one is alone; launch several with "
            "accelerate-launch --multi_gpu, or leave --shard out"
        )


def spread(model: VideoCLIP, *, accelerator: Accelerator) -> None:
    """Spread a model's weights over all processes in place, along their first axes; each keeps about 1 / n of them.

    Parameters become new ones, so what refers to them comes later. Outside of steps no process has whole weights. All
    processes must hold the same model.
    """
    # Towers give views of what they computed, which torch warns of; nothing changes them in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module", category=UserWarning)
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    for layer in chain(model.video.visual.transformer.resblocks, model.english.transformer.resblocks):
        _shard(layer, mesh=mesh)
        setattr(layer, LEND_NAME, partial(_run, layer))
        register_fsdp_forward_method(layer, LEND_NAME)
    for layer in _called_layers(model):
        _shard(layer, mesh=mesh)
    for tower in (model.video, model.english, model.chinese):
        if tower is not None:
            _shard(tower, mesh=mesh)


def is_spread(module: nn.Module) -> bool:
    """Whether a module, or a part of it, is spread over processes."""
    return any(isinstance(each, FSDPModule) for each in module.modules())


def share_module(module: nn.Module, *, accelerator: Accelerator) -> nn.Module:
    """Make a module average its gradients over processes in every backward pass, as one that is spread does anyway."""
    shared: nn.Module = module if is_spread(module) else accelerator.prepare_model(module)
    return shared


def share_pass(module: nn.Module, *, accelerator: Accelerator, is_last: bool) -> AbstractContextManager[None]:
    """Let passes forward and back add up gradients, which are averaged over processes with the last pass of a step.

    Until then every process keeps whole gradients, also of a module that is spread.
    """
    if is_spread(module):
        return _share_spread_pass(module, is_last=is_last)
    shared: AbstractContextManager[None] = nullcontext() if is_last else accelerator.no_sync(module)
    return shared


def gradient_norm(gradients: Iterable[Tensor]) -> Float[Tensor, ""]:
    """Return the norm of all gradients together, whole ones and spread ones, the same in every process."""
    gradients = list(gradients)
    own = [each.to_local() for each in gradients if isinstance(each, DTensor)]
    common = [each for each in gradients if not isinstance(each, DTensor)]
    if not own:
        return nn.utils.get_total_norm(common)
    squared = nn.utils.get_total_norm(own).square()
    distributed.all_reduce(squared)
    return (squared + nn.utils.get_total_norm(common).square()).sqrt() if common else squared.sqrt()


def is_finite(tensor: Tensor) -> bool:
    """Whether all numbers of a tensor are finite; of a spread one, in all processes, which must ask together."""
    if not isinstance(tensor, DTensor):
        return bool(tensor.isfinite().all())
    is_wrong = (~tensor.to_local().isfinite()).any().int()
    distributed.all_reduce(is_wrong)
    return not is_wrong


def gather(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make spread tensors whole, on the CPU of the main process alone; the others, which must ask too, get nothing.

    Whole tensors stay as they are.
    """
    return {name: whole for name, each in tensors.items() if (whole := _whole(each)) is not None}


def gather_moments(optimizer: AdamW) -> State:
    """Return an optimizer's state as it is of a whole model, with what ``gather`` leaves in each process."""
    state: State = optimizer.state_dict()
    return state | {"state": {index: gather(moments) for index, moments in state["state"].items()}}


def spread_moments(state: State, *, optimizer: AdamW) -> State:
    """Cut the moments of a whole model into the shares of the parameters that an optimizer holds."""
    parameters = list(chain.from_iterable(group["params"] for group in optimizer.param_groups))
    return state | {"state": {index: _cut(own, like=parameters[index]) for index, own in state["state"].items()}}


def _shard(module: nn.Module, *, mesh: DeviceMesh) -> None:
    """Spread what is not spread yet of a module; its weights are given back after every use, also of a whole tower."""
    fully_shard(module, mesh=mesh, reshard_after_forward=True)


def _called_layers(model: VideoCLIP) -> Iterator[nn.Module]:
    """Iterate over what goes with each layer of the image tower, and over the layers of the Chinese tower."""
    if model.video.prompts is not None:
        yield from model.video.prompts
    if isinstance(model.video, SideVideoEncoder):
        yield from model.video.side.blocks
    if model.chinese is not None:
        yield from model.chinese.bert.encoder.layer


def _run(layer: nn.Module, function: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
    return function(layer, *inputs)


@contextmanager
def _share_spread_pass(module: nn.Module, *, is_last: bool) -> Iterator[None]:
    """Hold back what torch does at the end of a pass; after the last one, average the gradients of scalars by hand."""
    for each in module.modules():
        if isinstance(each, FSDPModule):
            each.set_requires_gradient_sync(is_last, recurse=False)
    yield
    if is_last:
        for parameter in module.parameters():
            if parameter.grad is not None and not isinstance(parameter, DTensor):
                distributed.all_reduce(parameter.grad)
                parameter.grad /= distributed.get_world_size()


def _whole(tensor: Tensor) -> Tensor | None:
    """Return a whole tensor, or None in the processes that only helped to make it so."""
    if not isinstance(tensor, DTensor):
        return tensor
    whole = tensor.full_tensor()
    return whole.cpu() if distributed.get_rank() == 0 else None


def _cut(moments: Mapping[str, Tensor], *, like: nn.Parameter) -> dict[str, Tensor]:
    """Cut the moments of one parameter, but not the number of its steps."""
    if not isinstance(like, DTensor):
        return dict(moments)
    # Every process has read all of it, and takes its own part without asking the others.
    cut = partial(distribute_tensor, device_mesh=like.device_mesh, placements=like.placements, src_data_rank=None)
    return {name: cut(moment) if moment.ndim else moment for name, moment in moments.items()}
