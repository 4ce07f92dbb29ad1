import pytest

from service.contract.graphs import graph_specs
from service.contract.manifest import Manifest
from tests.bundles import CLASSIFIER, ENGLISH_ONLY, manifest_fields
from training.export.graphs import tower
from training.models.video_clip import VideoCLIP

VIDEO = (
    "video_encoder",
    [("frames", "uint8", ("views", 4, 8, 8, 3))],
    [("frame_features", "float32", ("views", 4, 16))],
)
ENGLISH = (
    "text_encoder_en",
    [("token_ids", "int32", ("labels", "length")), ("eot_index", "int32", ("labels",))],
    [("embedding", "float32", ("labels", 16)), ("words", "float32", ("labels", "length", 16))],
)
CHINESE = (
    "text_encoder_zh",
    [("token_ids", "int32", ("labels", "length")), ("attention_mask", "int32", ("labels", "length"))],
    [("embedding", "float32", ("labels", 16))],
)


def describe(**changes: object) -> list[object]:
    manifest = Manifest.model_validate(manifest_fields(**{"joint_dimension": 16, **changes}))
    return [
        (
            spec.name,
            [(tensor.name, tensor.dtype, tensor.axes) for tensor in spec.inputs],
            [(tensor.name, tensor.dtype, tensor.axes) for tensor in spec.outputs],
        )
        for spec in graph_specs(manifest)
    ]


def test_bilingual_bundle_has_three_graphs() -> None:
    assert describe() == [VIDEO, ENGLISH, CHINESE]


def test_english_bundle_has_two_graphs() -> None:
    assert describe(**ENGLISH_ONLY) == [VIDEO, ENGLISH]


def test_segments_of_several_frames_are_an_axis() -> None:
    sampling = {"rule": "segment_centres", "num_frames": 4, "num_local_frames": 5}
    frames = describe(sampling=sampling, num_frame_features=1)[0]
    assert frames == (
        "video_encoder",
        [("frames", "uint8", ("views", 4, 5, 8, 8, 3))],
        [("frame_features", "float32", ("views", 1, 16))],
    )


def test_classifier_gives_a_logit_for_each_class() -> None:
    assert describe(**CLASSIFIER) == [
        (
            "video_encoder",
            [("frames", "uint8", ("views", 4, 5, 8, 8, 3))],
            [("frame_features", "float32", ("views", 1, 3))],
        ),
        ENGLISH,
    ]


def test_graphs_know_their_towers(model: VideoCLIP) -> None:
    assert [tower(model, name) for name in ("video_encoder", "text_encoder_en", "text_encoder_zh")] == [
        model.video,
        model.english,
        model.chinese,
    ]


def test_absent_tower_is_refused(english_model: VideoCLIP) -> None:
    with pytest.raises(ValueError, match="no 'text_encoder_zh'; it has video_encoder, text_encoder_en"):
        tower(english_model, "text_encoder_zh")
