"""Triton's ``config.pbtxt`` of every graph, so that a bundle is a model repository as it stands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from service.contract.graphs import LABELS, LENGTH, VIEWS, GraphSpec, TensorSpec
from service.contract.layout import GraphFormat

_PLATFORMS: dict[GraphFormat, str] = {"onnx": "onnxruntime_onnx", "torchscript": "pytorch_libtorch"}
_DATA_TYPES = {"uint8": "TYPE_UINT8", "int32": "TYPE_INT32", "float32": "TYPE_FP32"}
# Waiting for others to share an execution with may make a video this much slower, within bounds that matter.
_DELAY_SHARE = 0.1
_UNMEASURED_DELAY_MICROSECONDS = 2000
_DELAY_BOUNDS_MICROSECONDS = (100, 20_000)
# A batch size is preferred where it encodes nearly as many views a second as the best one.
_NEARLY_BEST = 0.95
# One short label, which every tower has room for.
_WARM_UP_SIZES = {LABELS: 1, LENGTH: 8}


@dataclass(frozen=True)
class Deployment:
    """How a server is to run a bundle's graphs; the default suits any machine.

    Args:
        gpus: devices of the graphs; none means the CPU.
        num_instances: copies of each graph on each device, or on the CPU.
        tensorrt: the arithmetic of TensorRT for the video encoder, or None for ONNX Runtime's own kernels.
        cuda_graphs: whether TensorRT records the launch of its kernels and repeats it as a whole.
        max_views: views of one execution; by default four clips of three crops, and one more request of four views.
        encode_seconds: measured time of one execution of the video encoder, by its number of views; from it follow the
            preferred batch sizes, and how long a video waits for others to share an execution with.
        queue_length: requests that wait for each graph, of which one more is refused at once; 0 sets no bound.
        queue_seconds: the longest that a request waits, unless its own deadline comes first; 0 sets no limit.

    The queue has no bound and no limit by default. Gateways bound what they send, and a call that is given up leaves
    the queue, so little is gained; and a server with either of them prepares no batch while another runs, and forgets
    now and then to wake up for a request: 1 to 3 of 100 calls of a small model took 500 ms longer on server 2.51, and
    none without. What else it costs there is told in triton-inference-server/server#8870.
    """

    gpus: tuple[int, ...] = ()
    num_instances: int = 1
    tensorrt: Literal["FP32", "FP16"] | None = None
    cuda_graphs: bool = False
    max_views: int = 16
    encode_seconds: Mapping[int, float] = field(default_factory=dict)
    queue_length: int = 0
    queue_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no server can run."""
        if self.tensorrt is not None and not self.gpus:
            raise ValueError(f"tensorrt is {self.tensorrt!r}, but gpus is empty; TensorRT needs a GPU")
        if self.cuda_graphs and self.tensorrt is None:
            raise ValueError("cuda_graphs is True, but tensorrt is None; TensorRT is what records CUDA graphs")
        if unusable := {size: seconds for size, seconds in self.encode_seconds.items() if not seconds > 0}:
            raise ValueError(f"encode_seconds has {unusable}; an execution takes more than 0 seconds")
        if beyond := sorted(size for size in self.encode_seconds if not 0 < size <= self.max_views):
            raise ValueError(f"encode_seconds has the batch sizes {beyond}; they must be from 1 to {self.max_views}")

    @property
    def preferred_batch_sizes(self) -> list[int]:
        """The measured batch sizes that are worth waiting for; none where nothing was measured or is gained."""
        nearly_best = self._nearly_best_sizes
        return [] if min(self.encode_seconds, default=0) in nearly_best else nearly_best

    @property
    def queue_delay_microseconds(self) -> int:
        """How long a video waits for company: a tenth of the time that encoding one view takes, if company helps."""
        if not self.encode_seconds:
            return _UNMEASURED_DELAY_MICROSECONDS
        if not self.preferred_batch_sizes:
            return 0
        smallest = min(self.encode_seconds)
        least, most = _DELAY_BOUNDS_MICROSECONDS
        return min(max(round(self.encode_seconds[smallest] / smallest * _DELAY_SHARE * 1e6), least), most)

    @property
    def _nearly_best_sizes(self) -> list[int]:
        rates = {size: size / seconds for size, seconds in sorted(self.encode_seconds.items())}
        return [size for size, rate in rates.items() if rate >= _NEARLY_BEST * max(rates.values())]


def render_triton_config(spec: GraphSpec, *, graph_format: GraphFormat, deployment: Deployment | None = None) -> str:
    """Render one graph's config.

    Views are batched by Triton. Labels are not: the gateway sends all missing labels of a request in one call, and
    calls of different lengths could not share an execution. So a text encoder has no batch axis of Triton's, and its
    label axis is an ordinary dynamic one.

    Answers to texts may be kept where the server has a response cache, since gateways that start together ask the same;
    no two videos are the same. The version before the latest stays loaded, so that gateways can follow one by one.

    Raises:
        ValueError: TensorRT is asked for, and the graph is not ONNX.
    """
    deployment = deployment or Deployment()
    if deployment.tensorrt is not None and graph_format != "onnx":
        raise ValueError(f"tensorrt is {deployment.tensorrt!r} and the format {graph_format!r}; export the run as onnx")
    batches = spec.inputs[0].axes[0] == VIEWS
    names = spec.wire_names(graph_format)
    lines = [
        f'name: "{spec.name}"',
        f'platform: "{_PLATFORMS[graph_format]}"',
        f"max_batch_size: {deployment.max_views if batches else 0}",
        *_tensors("input", spec.inputs, names=names, batches=batches),
        *_tensors("output", spec.outputs, names=names, batches=batches),
        *_scheduling(deployment, batches=batches),
        *_instances(deployment),
        *(_acceleration(spec, deployment) if batches else ()),
        *_warm_up(spec, names=names, batches=batches),
        f"response_cache {{ enable: {'false' if batches else 'true'} }}",
        "version_policy { latest { num_versions: 2 } }",
    ]
    return "\n".join(lines) + "\n"


def _tensors(kind: str, tensors: tuple[TensorSpec, ...], *, names: Mapping[str, str], batches: bool) -> Iterator[str]:
    yield f"{kind} ["
    for tensor in tensors:
        # The batch axis is Triton's own.
        axes = tensor.axes[1:] if batches else tensor.axes
        dims = ", ".join(str(axis) if isinstance(axis, int) else "-1" for axis in axes)
        comma = "" if tensor is tensors[-1] else ","
        yield f'  {{ name: "{names[tensor.name]}" data_type: {_DATA_TYPES[tensor.dtype]} dims: [ {dims} ] }}{comma}'
    yield "]"


def _scheduling(deployment: Deployment, *, batches: bool) -> Iterator[str]:
    """The queue of a graph; only the scheduler that batches has one whose length and waiting time can be limited."""
    is_limited = bool(deployment.queue_length or deployment.queue_seconds)
    if not batches and not is_limited:
        return
    yield "dynamic_batching {"
    if batches:
        if sizes := deployment.preferred_batch_sizes:
            yield f"  preferred_batch_size: [ {', '.join(map(str, sizes))} ]"
        yield f"  max_queue_delay_microseconds: {deployment.queue_delay_microseconds}"
    if is_limited:
        yield "  default_queue_policy {"
        yield "    timeout_action: REJECT"
        yield f"    default_timeout_microseconds: {round(deployment.queue_seconds * 1e6)}"
        yield "    allow_timeout_override: true"
        yield f"    max_queue_size: {deployment.queue_length}"
        yield "  }"
    yield "}"


def _instances(deployment: Deployment) -> Iterator[str]:
    place = "KIND_CPU"
    if deployment.gpus:
        place = f"KIND_GPU gpus: [ {', '.join(map(str, deployment.gpus))} ]"
    yield f"instance_group [ {{ count: {deployment.num_instances} kind: {place} }} ]"


def _acceleration(spec: GraphSpec, deployment: Deployment) -> Iterator[str]:
    """TensorRT's part; it builds its engine for every number of views at once, not anew for each it meets."""
    if deployment.tensorrt is None:
        return
    name, sizes = spec.inputs[0].name, "x".join(map(str, spec.inputs[0].axes[1:]))
    parameters = {
        "precision_mode": deployment.tensorrt,
        "trt_engine_cache_enable": "true",
        "trt_timing_cache_enable": "true",
        "trt_cuda_graph_enable": "true" if deployment.cuda_graphs else "false",
        "trt_profile_min_shapes": f"{name}:1x{sizes}",
        "trt_profile_opt_shapes": f"{name}:{max(deployment.preferred_batch_sizes, default=1)}x{sizes}",
        "trt_profile_max_shapes": f"{name}:{deployment.max_views}x{sizes}",
    }
    yield "optimization { execution_accelerators { gpu_execution_accelerator [ {"
    yield '  name: "tensorrt"'
    for key, value in parameters.items():
        yield f'  parameters {{ key: "{key}" value: "{value}" }}'
    yield "} ] } }"


def _warm_up(spec: GraphSpec, *, names: Mapping[str, str], batches: bool) -> Iterator[str]:
    """One execution before a model counts as ready, so that no request pays for first allocations."""
    yield "model_warmup [ {"
    yield f'  name: "one {"view" if batches else "label"}"'
    yield f"  batch_size: {1 if batches else 0}"
    for tensor in spec.inputs:
        axes = tensor.axes[1:] if batches else tensor.axes
        dims = ", ".join(str(_WARM_UP_SIZES.get(str(axis), axis)) for axis in axes)
        value = f"data_type: {_DATA_TYPES[tensor.dtype]} dims: [ {dims} ] zero_data: true"
        yield f'  inputs {{ key: "{names[tensor.name]}" value {{ {value} }} }}'
    yield "} ]"
