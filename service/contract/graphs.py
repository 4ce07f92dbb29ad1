"""Names, dtypes and axes of a bundle's graphs: the one place from which exports, engines and checks take them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from service.contract.layout import GraphFormat, graph_file
from service.contract.manifest import Manifest

Dtype = Literal["uint8", "int32", "float32"]
VIEWS, LABELS, LENGTH = "views", "labels", "length"


@dataclass(frozen=True)
class TensorSpec:
    """One input or output; an axis is a number, or a name where its size is dynamic."""

    name: str
    dtype: Dtype
    axes: tuple[int | str, ...]


@dataclass(frozen=True)
class GraphSpec:
    """One graph of a bundle; the order of its tensors is the order of the module's arguments and results."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def wire_names(self, graph_format: GraphFormat) -> dict[str, str]:
        """The name of every tensor as Triton says it; TorchScript has no names, so Triton counts."""
        tensors = {"INPUT": self.inputs, "OUTPUT": self.outputs}
        return {
            tensor.name: tensor.name if graph_format == "onnx" else f"{kind}__{index}"
            for kind, own in tensors.items()
            for index, tensor in enumerate(own)
        }


def graph_specs(manifest: Manifest) -> Iterator[GraphSpec]:
    """Describe the graphs of a bundle, the Chinese tower only where the manifest has one."""
    size, sampling, dimension = manifest.preprocessing.input_size, manifest.sampling, manifest.joint_dimension
    segment = (sampling.num_local_frames,) if sampling.num_local_frames > 1 else ()
    token_ids = TensorSpec("token_ids", "int32", (LABELS, LENGTH))
    embedding = TensorSpec("embedding", "float32", (LABELS, dimension))
    yield GraphSpec(
        "video_encoder",
        inputs=(TensorSpec("frames", "uint8", (VIEWS, sampling.num_frames, *segment, size, size, 3)),),
        outputs=(
            TensorSpec("frame_features", "float32", (VIEWS, manifest.num_frame_features, manifest.feature_dimension)),
        ),
    )
    yield GraphSpec(
        "text_encoder_en",
        inputs=(token_ids, TensorSpec("eot_index", "int32", (LABELS,))),
        outputs=(embedding, TensorSpec("words", "float32", (LABELS, LENGTH, dimension))),
    )
    if manifest.chinese is not None:
        yield GraphSpec(
            "text_encoder_zh",
            inputs=(token_ids, TensorSpec("attention_mask", "int32", (LABELS, LENGTH))),
            outputs=(embedding,),
        )


def find_format(manifest: Manifest) -> GraphFormat:
    """The format of a bundle's graphs, which is that of its video encoder; ONNX where the manifest lists no graph."""
    return "torchscript" if graph_file("video_encoder", "torchscript") in manifest.files else "onnx"
