"""A bundle with real, tiny ONNX graphs, tokenizers and golden vectors, for tests that go through the real engine.

The graphs have the contract's names, types and dynamic axes; what they compute is simple enough to repeat in numpy.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from jaxtyping import Float32
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from service.contract.label_banks import BankKey, write_label_bank
from service.contract.manifest import Manifest, file_digest, render_manifest
from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer
from tests.bundles import CLASSIFIER, SHAPES, manifest_fields, shapes_bank
from tests.encoders import DIMENSION

_WORDS = [
    "<start_of_text>",
    "<end_of_text>",
    "[UNK]",
    *("a", "video", "of", "moving", "left", "right", "running", "jumping", "growing"),
]
_CHARACTERS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *"的视频向左右移动跑跳"]
_RANDOM = np.random.default_rng(7)
PIXEL_WEIGHTS = _RANDOM.standard_normal((3, DIMENSION)).astype(np.float32)
WORD_TABLE = _RANDOM.standard_normal((len(_WORDS) + 1, DIMENSION)).astype(np.float32)
CHARACTER_TABLE = _RANDOM.standard_normal((len(_CHARACTERS), DIMENSION)).astype(np.float32)


def write_tiny_bundle(directory: Path) -> Path:
    """Write a whole bundle that the embedded engine can load."""
    for name, graph in (("video_encoder", _video()), ("text_encoder_en", _english()), ("text_encoder_zh", _chinese())):
        path = directory / name / "1" / "model.onnx"
        path.parent.mkdir(parents=True)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
    english_tokenizer().save(str(directory / "tokenizer_en.json"))
    chinese_tokenizer().save(str(directory / "tokenizer_zh.json"))
    save_file(golden_vectors(), directory / "golden.safetensors")
    (directory / "label_banks").mkdir()
    manifest = Manifest.model_validate(manifest_fields())
    bank_path = directory / "label_banks" / "shapes.safetensors"
    write_label_bank(bank_path, labels=SHAPES, bank=shapes_bank(), key=BankKey.of(manifest))
    seal_bundle(directory)
    return directory


def write_tiny_classifier(directory: Path) -> Path:
    """Write a whole bundle of a closed vocabulary: a class's logit is one colour's mean over all frames."""
    write_tiny_bundle(directory)
    path = directory / "video_encoder" / "1" / "model.onnx"
    onnx.save(helper.make_model(_logits(), opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    frames = np.random.default_rng(1).integers(0, 256, (2, 4, 5, 8, 8, 3), dtype=np.uint8)
    logits = frames.astype(np.float32).mean(axis=(1, 2, 3, 4))[:, None, :]
    save_file(golden_vectors() | {"frames": frames, "frame_features": logits}, directory / "golden.safetensors")
    seal_bundle(directory, **CLASSIFIER)
    return directory


def seal_bundle(directory: Path, **changes: object) -> None:
    """Write the manifest over whatever files there are now."""
    paths = [path for path in directory.rglob("*") if path.is_file() and path.name != "bundle.json"]
    files = {path.relative_to(directory).as_posix(): file_digest(path) for path in paths}
    manifest = Manifest.model_validate(manifest_fields(name="tiny", label_sets=("shapes",), files=files, **changes))
    (directory / "bundle.json").write_text(render_manifest(manifest), encoding="utf-8")


def english_tokenizer() -> Tokenizer:
    """Words of a small vocabulary; id 0 pads."""
    tokenizer = Tokenizer(models.WordLevel({word: i + 1 for i, word in enumerate(_WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def chinese_tokenizer() -> Tokenizer:
    """Characters of a small vocabulary; id 0 pads."""
    tokenizer = Tokenizer(models.WordLevel({text: i for i, text in enumerate(_CHARACTERS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def golden_vectors() -> dict[str, np.ndarray]:
    """Inputs and the answers that numpy gives."""
    frames = np.random.default_rng(1).integers(0, 256, (2, 4, 8, 8, 3), dtype=np.uint8)
    tokens = EnglishTokenizer(english_tokenizer(), max_length=77).encode(
        ["moving left", "running"], template="a video of {}", word_set="label"
    )
    chinese = ChineseTokenizer(chinese_tokenizer(), max_length=77).encode(["向左移动", "跑"], template="{}的视频")
    words = unit(WORD_TABLE[tokens.token_ids])
    mask = chinese.attention_mask[..., None].astype(np.float32)
    summed = (CHARACTER_TABLE[chinese.token_ids] * mask).sum(axis=1)
    return {
        "frames": frames,
        "frame_features": unit(frames.astype(np.float32).mean(axis=(2, 3)) @ PIXEL_WEIGHTS),
        "token_ids": tokens.token_ids,
        "eot_index": tokens.eot_index,
        "embedding": np.ascontiguousarray(words[np.arange(2), tokens.eot_index]),
        "words": words,
        "token_ids_zh": chinese.token_ids,
        "attention_mask": chinese.attention_mask,
        "embedding_zh": unit(summed),
    }


def unit(vectors: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Scale the last axis to unit length."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _video() -> onnx.GraphProto:
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "pixel_axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["projected"]),
        helper.make_node("LpNormalization", ["projected"], ["frame_features"], axis=-1, p=2),
    ]
    constants: dict[str, np.ndarray] = {"pixel_axes": np.array([2, 3], dtype=np.int64), "weights": PIXEL_WEIGHTS}
    inputs = [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["views", 4, 8, 8, 3])]
    return _graph(nodes, constants, inputs, {"frame_features": ["views", 4, DIMENSION]})


def _logits() -> onnx.GraphProto:
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("Unsqueeze", ["means", "feature_axis"], ["frame_features"]),
    ]
    constants = {"axes": np.array([1, 2, 3, 4], dtype=np.int64), "feature_axis": np.array([1], dtype=np.int64)}
    inputs = [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["views", 4, 5, 8, 8, 3])]
    return _graph(nodes, constants, inputs, {"frame_features": ["views", 1, 3]})


def _english() -> onnx.GraphProto:
    nodes = [
        helper.make_node("Gather", ["table", "token_ids"], ["gathered"]),
        helper.make_node("LpNormalization", ["gathered"], ["words"], axis=-1, p=2),
        helper.make_node("Unsqueeze", ["eot_index", "last_axis"], ["eot_column"]),
        helper.make_node("Cast", ["eot_column"], ["eot_column_64"], to=TensorProto.INT64),
        helper.make_node("GatherND", ["words", "eot_column_64"], ["embedding"], batch_dims=1),
    ]
    constants: dict[str, np.ndarray] = {"table": WORD_TABLE, "last_axis": np.array([1], dtype=np.int64)}
    inputs = [
        helper.make_tensor_value_info("token_ids", TensorProto.INT32, ["labels", "length"]),
        helper.make_tensor_value_info("eot_index", TensorProto.INT32, ["labels"]),
    ]
    outputs: dict[str, list[str | int]] = {"embedding": ["labels", DIMENSION], "words": ["labels", "length", DIMENSION]}
    return _graph(nodes, constants, inputs, outputs)


def _chinese() -> onnx.GraphProto:
    nodes = [
        helper.make_node("Gather", ["table", "token_ids"], ["gathered"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last_axis"], ["mask_column"]),
        helper.make_node("Mul", ["gathered", "mask_column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "length_axis"], ["summed"], keepdims=0),
        helper.make_node("LpNormalization", ["summed"], ["embedding"], axis=-1, p=2),
    ]
    axes = {"last_axis": np.array([2], dtype=np.int64), "length_axis": np.array([1], dtype=np.int64)}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT32, ["labels", "length"])
        for name in ("token_ids", "attention_mask")
    ]
    return _graph(nodes, {"table": CHARACTER_TABLE, **axes}, inputs, {"embedding": ["labels", DIMENSION]})


def _graph(
    nodes: list[onnx.NodeProto],
    constants: Mapping[str, np.ndarray],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Mapping[str, Sequence[str | int]],
) -> onnx.GraphProto:
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    return helper.make_graph(nodes, "tiny", inputs, infos, initializers)
