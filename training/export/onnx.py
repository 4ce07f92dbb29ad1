"""A tower as one ONNX file: weights and normalisation inside, batch norms folded into convolutions before them.

The same module gives the same bytes every time.
"""

from pathlib import Path

import torch
from onnx import GraphProto, ModelProto
from torch import nn

from service.contract.errors import BundleError
from service.contract.graphs import GraphSpec
from training.export.tracing import example_inputs, traced

# The largest message that protobuf writes, and so the largest file with embedded weights.
_LIMIT_BYTES = 2**31 - 1


def export_onnx(module: nn.Module, path: Path, *, spec: GraphSpec) -> None:
    """Write a tower as one ONNX file with the names and dynamic axes of ``spec``.

    Equal modules give equal files: everything that tells where and how the graph was made is removed.

    Raises:
        BundleError: the weights do not fit into one file.
    """
    num_bytes = sum(tensor.nbytes for tensor in module.state_dict().values())
    if num_bytes > _LIMIT_BYTES:
        raise BundleError(f"{spec.name} has {num_bytes} bytes of weights; one ONNX file holds at most {_LIMIT_BYTES}")
    with traced(module):
        program = torch.onnx.export(
            module,
            example_inputs(spec),
            input_names=[tensor.name for tensor in spec.inputs],
            output_names=[tensor.name for tensor in spec.outputs],
            dynamic_shapes=tuple(
                {index: axis for index, axis in enumerate(tensor.axes) if isinstance(axis, str)}
                for tensor in spec.inputs
            ),
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # only None where torch.onnx is told to save a file of its own
    path.write_bytes(_without_origin(program.model_proto).SerializeToString(deterministic=True))


def _without_origin(model: ModelProto) -> ModelProto:
    """Remove stack traces, module paths and documentation, in place."""
    model.doc_string = ""
    del model.metadata_props[:]
    _clean_graph(model.graph)
    return model


def _clean_graph(graph: GraphProto) -> None:
    graph.doc_string = ""
    records = [graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info]
    for record in records:
        record.doc_string = ""
        del record.metadata_props[:]
    for node in graph.node:
        for attribute in node.attribute:
            attribute.doc_string = ""
