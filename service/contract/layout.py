"""Where everything lies in a bundle's folder, which is a Triton model repository; both sides take names from here."""

from typing import Literal

GraphFormat = Literal["onnx", "torchscript"]

MANIFEST_NAME = "bundle.json"
GOLDEN_NAME = "golden.safetensors"
# Triton's name for what it must know of a model, beside the folders of its versions.
CONFIG_NAME = "config.pbtxt"

_FILE_NAMES: dict[GraphFormat, str] = {"onnx": "model.onnx", "torchscript": "model.pt"}
# A bundle holds one version of each graph.
_VERSION = "1"
_LABEL_BANKS = "label_banks"


def graph_file(graph: str, graph_format: GraphFormat) -> str:
    """Path of a graph's file inside the bundle."""
    return f"{graph}/{_VERSION}/{_FILE_NAMES[graph_format]}"


def config_file(graph: str) -> str:
    """Path of a graph's configuration inside the bundle."""
    return f"{graph}/{CONFIG_NAME}"


def tokenizer_file(language: str) -> str:
    """Path of the tokenizer of ``en`` or ``zh`` inside the bundle."""
    return f"tokenizer_{language}.json"


def label_bank_file(label_set: str) -> str:
    """Path of the label bank of a label set inside the bundle."""
    return f"{_LABEL_BANKS}/{label_set}.safetensors"
