"""Triton's ``config.pbtxt`` of every graph, so that a bundle is a model repository as it stands."""

from string import Template

from training.export.graphs import VIEWS, Format, GraphSpec, TensorSpec

# Views of one execution: four clips of three crops, and one more request of four views.
_MAX_VIEWS = 16
_PLATFORMS: dict[Format, str] = {"onnx": "onnxruntime_onnx", "torchscript": "pytorch_libtorch"}
_DATA_TYPES = {"uint8": "TYPE_UINT8", "int32": "TYPE_INT32", "float32": "TYPE_FP32"}

_CONFIG = Template("""\
name: "$name"
platform: "$platform"
max_batch_size: $max_batch_size
input [
$inputs
]
output [
$outputs
]
${batching}instance_group [ { count: 1 kind: KIND_CPU } ]
""")
# A video waits at most 2 ms for others to share an execution with.
_BATCHING = "dynamic_batching { max_queue_delay_microseconds: 2000 }\n"


def render_triton_config(spec: GraphSpec, *, graph_format: Format) -> str:
    """Render one graph's config.

    Views are batched by Triton. Labels are not: the gateway sends all missing labels of a request in one call, and
    calls of different lengths could not share an execution.
    """
    batches = spec.inputs[0].axes[0] == VIEWS
    return _CONFIG.substitute(
        name=spec.name,
        platform=_PLATFORMS[graph_format],
        max_batch_size=_MAX_VIEWS if batches else 0,
        inputs=_tensors(spec.inputs, kind="INPUT", graph_format=graph_format, batches=batches),
        outputs=_tensors(spec.outputs, kind="OUTPUT", graph_format=graph_format, batches=batches),
        batching=_BATCHING if batches else "",
    )


def _tensors(tensors: tuple[TensorSpec, ...], *, kind: str, graph_format: Format, batches: bool) -> str:
    lines = []
    for index, tensor in enumerate(tensors):
        # The batch axis is Triton's own; TorchScript has no names, so Triton counts.
        axes = tensor.axes[1:] if batches else tensor.axes
        name = tensor.name if graph_format == "onnx" else f"{kind}__{index}"
        dims = ", ".join(str(axis) if isinstance(axis, int) else "-1" for axis in axes)
        lines.append(f'  {{ name: "{name}" data_type: {_DATA_TYPES[tensor.dtype]} dims: [ {dims} ] }}')
    return ",\n".join(lines)
