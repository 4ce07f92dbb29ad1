import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from service.contract.errors import BundleError
from service.contract.labels import Label
from service.contract.manifest import Manifest, Sections, open_bundle, parse_manifest, render_manifest
from service.contract.precision import Precision
from tests.bundles import CLASSIFIER, ENGLISH_ONLY, manifest_fields, write_bundle

DIGEST = "0" * 64


def changed(path: str, value: object) -> dict[str, Any]:
    """A valid manifest's fields with one of them, named by its dotted path, set."""
    fields: dict[str, Any] = json.loads(json.dumps(manifest_fields()))
    *parents, last = path.split(".")
    record = fields
    for parent in parents:
        record = record[parent]
    record[last] = value
    return fields


def test_manifest_survives_rendering() -> None:
    manifest = Manifest.model_validate(manifest_fields())
    text = render_manifest(manifest)
    assert parse_manifest(text, source="bundle.json") == manifest
    assert text.endswith("}\n")
    assert render_manifest(parse_manifest(text.encode(), source="bundle.json")) == text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        (ENGLISH_ONLY, False),
        ({**ENGLISH_ONLY, "chinese": {**manifest_fields()["chinese"], "trained": False}}, False),
    ],
)
def test_chinese_counts_only_if_it_is_trained(changes: dict[str, Any], expected: bool) -> None:
    assert Manifest.model_validate(manifest_fields(**changes)).has_chinese is expected


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format_version", 3, "format_version: Input should be 1 or 2"),
        ("sections", {"maps": {}}, "format_version is 1, which has no sections; make it 2, or take sections out"),
        ("colour", "red", "colour: Extra inputs are not permitted"),
        ("scoring.colour", "red", r"scoring\.colour: Extra inputs are not permitted"),
        ("name", "../demo", "name: String should match pattern"),
        ("name", "x" * 65, "name: String should match pattern"),
        ("method", "magic", "method: Input should be 'dual_semantic'"),
        ("vocabulary", "half", "vocabulary: Input should be 'open' or 'closed'"),
        (
            "vocabulary",
            "closed",
            "vocabulary is 'closed' with 0 classes; a closed one has classes, an open one has none",
        ),
        ("classes", [{"en": "growing"}], "vocabulary is 'open' with 1 classes; a closed one has classes"),
        ("classes", [{"en": ""}], r"classes\.0\.en: String should have at least 1 character"),
        ("joint_dimension", 0, "joint_dimension: Input should be greater than 0"),
        ("num_frame_features", -1, "num_frame_features: Input should be greater than 0"),
        (
            "preprocessing.resize_rule",
            "long_side",
            r"preprocessing\.resize_rule: Input should be 'short_side' or 'exact'",
        ),
        ("preprocessing.resize_rule", "exact", "preprocessing: .*'exact' does not go with resize_size 8"),
        ("preprocessing.resize_size", [8, 9], r"preprocessing: .*'short_side' does not go with resize_size \(8, 9\)"),
        ("preprocessing.resize_size", 7, "preprocessing: .*resize_size 7 is smaller than input_size 8"),
        ("preprocessing.mean", [0.5, 0.5], r"preprocessing\.mean\.2: Field required"),
        ("preprocessing.mean", [0.5, 0.5, "NaN"], r"preprocessing\.mean\.2: Input should be a finite number"),
        ("sampling.rule", "random", r"sampling\.rule: Input should be 'segment_centres', 'segment_starts' or"),
        ("sampling.num_local_frames", 2, r"sampling\.num_local_frames: Input should be 1, 3 or 5"),
        ("sampling.frames_per_segment", 5, r"sampling\.frames_per_segment: Extra inputs are not permitted"),
        ("sampling.num_frames", 0, r"sampling\.num_frames: Input should be greater than 0"),
        ("english.digest", "abc", r"english\.digest: String should match pattern"),
        ("english.template", "a video", r"english\.template: .*template is 'a video'; it must contain exactly one {}"),
        ("chinese.template", "{}{}", r"chinese\.template: .*template is '{}{}'; it must contain exactly one {}"),
        ("english.max_length", 0, r"english\.max_length: Input should be greater than 0"),
        ("scoring.aggregation", "max", r"scoring\.aggregation: Input should be 'word_weighted' or 'mean'"),
        ("scoring.word_set", "all", r"scoring\.word_set: Input should be 'label', 'label_eot', 'sentence' or 'bike77'"),
        ("scoring.tau", 0, r"scoring\.tau: Input should be greater than 0"),
        ("scoring.fusion.value", 1.2, r"scoring\.fusion\.value: Input should be less than or equal to 1"),
        ("files", {"a": "b"}, r"files\.a: String should match pattern"),
        ("files", {"/etc/passwd": DIGEST}, "file '/etc/passwd' must be a relative path inside the bundle"),
        ("files", {"../a": DIGEST}, "file '../a' must be a relative path inside the bundle"),
        ("files", {"a\\b": DIGEST}, r"file 'a\\\\b' must be a relative path inside the bundle"),
        ("chinese", None, r"lambda is 0\.5, but without a trained Chinese branch it must be 1"),
        ("chinese.trained", False, r"lambda is 0\.5, but without a trained Chinese branch it must be 1"),
    ],
)
def test_impossible_value_is_refused_by_name(path: str, value: object, message: str) -> None:
    with pytest.raises(BundleError, match=message) as error:
        parse_manifest(json.dumps(changed(path, value)), source="demo/bundle.json")
    assert str(error.value).startswith("demo/bundle.json is not a valid manifest: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_frame_features": 4}, r"num_frame_features is 4 and lambda is 1\.0; .* both must be 1"),
        (
            {"chinese": manifest_fields()["chinese"], "scoring": manifest_fields()["scoring"]},
            r"num_frame_features is 1 and lambda is 0\.5; .* both must be 1",
        ),
        ({"classes": [{"en": "Growing"}, {"en": "growing"}]}, "classes: label 'growing' is given twice, at 1 and 2"),
        ({"classes": [{"en": "growing"}, {}]}, "classes: a label has neither English nor Chinese text"),
    ],
)
def test_impossible_classifier_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        parse_manifest(json.dumps(manifest_fields(**(CLASSIFIER | changes))), source="bundle.json")


def test_a_classifier_names_its_classes_and_gives_a_logit_for_each() -> None:
    manifest = Manifest.model_validate(manifest_fields(**CLASSIFIER))
    labels = (Label("moving left", "向左移动"), Label("moving right", "向右移动"), Label("growing", "变大"))
    assert (manifest.closed_vocabulary, manifest.feature_dimension) == (labels, 3)
    assert parse_manifest(render_manifest(manifest), source="bundle.json") == manifest


def test_an_open_vocabulary_has_no_classes() -> None:
    manifest = Manifest.model_validate(manifest_fields())
    assert (manifest.closed_vocabulary, manifest.feature_dimension) == (None, 16)


@pytest.mark.parametrize(("keys", "expected"), [({}, 1), ({"num_local_frames": 1}, 1), ({"num_local_frames": 5}, 5)])
def test_a_bundle_says_how_many_local_frames_it_takes_or_takes_one(keys: dict[str, int], expected: int) -> None:
    sampling = {"rule": "segment_centres", "num_frames": 4, **keys}
    assert Manifest.model_validate(manifest_fields(sampling=sampling)).sampling.num_local_frames == expected


MEASURED = {"video_encoder": {"bf16": {"min_cosine": 0.9985, "cpu": "a CPU (AMX)"}}}


def test_format_1_is_read_lacks_every_section_and_stays_what_it_was() -> None:
    manifest = Manifest.model_validate(manifest_fields())
    assert (manifest.sections.lacking, manifest.sections.unknown) == (("precisions",), ())
    assert "sections" not in json.loads(render_manifest(manifest))


def test_sections_are_kept_also_those_that_a_later_service_knows() -> None:
    sections = {"precisions": MEASURED, "maps": {"a": [1]}}
    manifest = Manifest.model_validate(manifest_fields(format_version=2, sections=sections))
    assert (manifest.sections.lacking, manifest.sections.unknown) == ((), ("maps",))
    assert json.loads(render_manifest(manifest))["sections"] == sections
    assert parse_manifest(render_manifest(manifest), source="bundle.json") == manifest


def test_known_section_is_strict() -> None:
    sections = {"precisions": {"video_encoder": {"int4": {"min_cosine": 1.0, "cpu": "a CPU", "colour": "red"}}}}
    with pytest.raises(
        BundleError, match=r"sections\.precisions\.video_encoder\.int4.*; sections.*colour: Extra inputs"
    ):
        parse_manifest(json.dumps(manifest_fields(format_version=2, sections=sections)), source="bundle.json")


@pytest.mark.parametrize(
    ("graph", "precision", "objection"),
    [
        (
            "video_encoder",
            "bf16",
            "the cosine of video_encoder in bf16 to f32 was 0.998500 on a CPU (AMX); at least 0.999 is needed",
        ),
        ("video_encoder", "f32", ""),
        ("text_encoder_en", "bf16", ""),
    ],
)
def test_what_was_measured_may_speak_against_a_precision(graph: str, precision: Precision, objection: str) -> None:
    sections = Sections.model_validate({"precisions": MEASURED})
    assert sections.find_objection(graph, precision) == objection


@pytest.mark.parametrize("name", sorted(manifest_fields()))
def test_missing_key_is_refused_by_name(name: str) -> None:
    fields = manifest_fields()
    del fields[name]
    with pytest.raises(BundleError, match=f"{name}: Field required"):
        parse_manifest(json.dumps(fields), source="bundle.json")


def test_all_problems_are_named_at_once() -> None:
    fields = changed("scoring.tau", -1) | {"name": ""}
    with pytest.raises(BundleError, match=r"name: String .*; scoring\.tau: Input"):
        parse_manifest(json.dumps(fields), source="bundle.json")


@pytest.mark.parametrize("text", ["", "{", "[]", b"\xff\xfe"])
def test_text_that_is_no_json_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(BundleError, match=r"bundle\.json is not a valid manifest: document: "):
        parse_manifest(text, source="bundle.json")


def test_bundle_is_opened_with_the_digest_of_its_manifest(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "b"))
    content = (tmp_path / "b" / "bundle.json").read_bytes()
    assert bundle.directory == tmp_path / "b"
    assert bundle.digest == hashlib.sha256(content).hexdigest()
    assert bundle.manifest == parse_manifest(content, source="bundle.json")


def test_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=f"{tmp_path}/b is not a bundle: it has no bundle.json; give the folder"):
        open_bundle(tmp_path / "b")


def test_missing_file_is_named(tmp_path: Path) -> None:
    directory = write_bundle(tmp_path / "b")
    (directory / "label_banks" / "shapes.safetensors").unlink()
    with pytest.raises(BundleError, match=r"lacks label_banks/shapes\.safetensors, which its manifest lists"):
        open_bundle(directory)


def test_unlisted_file_is_named(tmp_path: Path) -> None:
    directory = write_bundle(tmp_path / "b")
    (directory / "label_banks" / "extra.bin").write_bytes(b"")
    with pytest.raises(BundleError, match=r"holds label_banks/extra\.bin, which its manifest does not list; remove it"):
        open_bundle(directory)


def test_altered_file_is_named_with_both_digests(tmp_path: Path) -> None:
    directory = write_bundle(tmp_path / "b")
    path = directory / "label_banks" / "shapes.safetensors"
    original = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    altered = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(BundleError, match=f"SHA-256 is {altered}, the manifest says {original}") as error:
        open_bundle(directory)
    assert str(error.value).startswith("label_banks/shapes.safetensors in ")
