"""Publishing and taking back, on disk and in an object store, with every way to stop on the way."""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from safetensors.numpy import save_file

from service.contract.errors import BundleError
from tests.bundles import ENGLISH_ONLY
from tests.tiny_graphs import golden_vectors, seal_bundle, write_tiny_bundle
from tests.training.publishing.publications import (
    DyingDisk,
    DyingStore,
    LossyDisk,
    LossyStore,
    MachineDiedError,
    expected_tree,
    read_tree,
    write_bundle,
)
from training.errors import PublishError
from training.export.triton import Deployment
from training.files.locks import lock_if_free
from training.publishing.publish import publish_bundle, publish_verified, roll_back

CONFIGS = {f"{model}/config.pbtxt" for model in ("video_encoder", "text_encoder_en", "text_encoder_zh")}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four bundles of the same shape; the second asks for other queues than the first."""
    folder = tmp_path_factory.mktemp("bundles")
    deployments = {1: Deployment(queue_length=7)}
    return [write_bundle(folder / str(n), remark=str(n), deployment=deployments.get(n)) for n in range(4)]


@pytest.fixture(params=["disk", "store"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path / "models") if request.param == "disk" else "memory://bucket/models"
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def write_text(url: str, text: str) -> None:
    files, path = fsspec.url_to_fs(url)
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    files.pipe_file(path, text.encode())


def test_first_bundle_is_version_one(bundles: list[Path], url: str) -> None:
    published = publish_verified(bundles[0], to=url)
    assert (published.version, published.name) == (1, "tiny")
    assert read_tree(url) == expected_tree({1: bundles[0]}, current=bundles[0])


def test_next_bundle_is_the_next_version_beside_the_last(bundles: list[Path], url: str) -> None:
    publish_verified(bundles[0], to=url)
    assert publish_verified(bundles[1], to=url).version == 2
    assert read_tree(url) == expected_tree({1: bundles[0], 2: bundles[1]}, current=bundles[1])


def test_bundle_that_is_current_is_not_published_again(bundles: list[Path], url: str) -> None:
    publish_verified(bundles[0], to=url)
    assert publish_verified(bundles[0], to=url).version == 1
    assert read_tree(url) == expected_tree({1: bundles[0]}, current=bundles[0])


@pytest.mark.parametrize(("num_kept", "kept"), [(1, [4]), (2, [3, 4]), (3, [2, 3, 4])])
def test_oldest_versions_make_room(bundles: list[Path], url: str, num_kept: int, kept: list[int]) -> None:
    for bundle in bundles:
        publish_verified(bundle, to=url, num_kept=num_kept)
    versions = {version: bundles[version - 1] for version in kept}
    assert read_tree(url) == expected_tree(versions, current=bundles[3])


def test_rollback_leaves_the_version_before_with_its_configuration(bundles: list[Path], url: str) -> None:
    for bundle in bundles[:3]:
        publish_verified(bundle, to=url)
    assert roll_back(url).version == 2
    assert read_tree(url) == expected_tree({1: bundles[0], 2: bundles[1]}, current=bundles[1])
    assert roll_back(url).version == 1
    assert read_tree(url) == expected_tree({1: bundles[0]}, current=bundles[0])


def test_number_of_a_withdrawn_version_is_not_used_again(bundles: list[Path], url: str) -> None:
    publish_verified(bundles[0], to=url)
    publish_verified(bundles[1], to=url)
    roll_back(url)
    assert publish_verified(bundles[1], to=url).version == 3
    assert read_tree(url) == expected_tree({1: bundles[0], 3: bundles[1]}, current=bundles[1])


def test_only_version_cannot_be_taken_back(bundles: list[Path], url: str) -> None:
    publish_verified(bundles[0], to=url)
    with pytest.raises(PublishError, match="has version 1 and none before it; publish another bundle"):
        roll_back(url)


def test_place_without_publications_has_nothing_to_take_back(url: str) -> None:
    with pytest.raises(PublishError, match=r"models has no publications.json: nothing was published there"):
        roll_back(url)
    assert read_tree(url) == {}


def test_version_that_lost_a_file_is_not_gone_back_to(bundles: list[Path], url: str) -> None:
    publish_verified(bundles[0], to=url)
    publish_verified(bundles[1], to=url)
    files, root = fsspec.url_to_fs(url)
    files.pipe_file(f"{root}/text_encoder_en/1/model.onnx", b"half")
    with pytest.raises(PublishError, match=r"text_encoder_en/1/model.onnx is missing or altered: it has 4 bytes, and"):
        roll_back(url)
    assert len(read_tree(url)) == 9


def test_model_goes_with_its_last_version(bundles: list[Path], tmp_path: Path, url: str) -> None:
    english = write_bundle(tmp_path / "english")
    shutil.rmtree(english / "text_encoder_zh")
    seal_bundle(english, **ENGLISH_ONLY)
    publish_verified(bundles[0], to=url)
    publish_verified(english, to=url, num_kept=1)
    assert {name.partition("/")[0] for name in read_tree(url)} == {"video_encoder", "text_encoder_en"}
    assert publish_verified(bundles[1], to=url).version == 3
    roll_back(url)
    assert {name.partition("/")[0] for name in read_tree(url)} == {"video_encoder", "text_encoder_en"}


def test_altered_bundle_is_refused(tmp_path: Path, url: str) -> None:
    bundle = write_bundle(tmp_path / "altered")
    (bundle / "tokenizer_en.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError, match=r"tokenizer_en.json in .*altered was altered"):
        publish_bundle(bundle, to=url)
    assert read_tree(url) == {}


def test_bundle_that_answers_wrongly_is_refused(tmp_path: Path, url: str) -> None:
    bundle = write_bundle(tmp_path / "wrong")
    golden = golden_vectors()
    save_file({**golden, "frame_features": -golden["frame_features"]}, bundle / "golden.safetensors")
    seal_bundle(bundle)
    with pytest.raises(BundleError, match=r"video_encoder on .*, golden: largest difference .* export it again"):
        publish_bundle(bundle, to=url)
    assert read_tree(url) == {}


@pytest.mark.parametrize("kind", [LossyDisk, LossyStore])
def test_file_that_does_not_arrive_whole_leaves_nothing_behind(
    bundles: list[Path], tmp_path: Path, kind: type[LossyDisk | LossyStore]
) -> None:
    fsspec.register_implementation(kind.protocol, kind, clobber=True)
    sound = str(tmp_path / "models") if kind is LossyDisk else "memory://bucket/models"
    publish_verified(bundles[0], to=sound)
    message = (
        r"text_encoder_zh/.*model.onnx is missing or altered: it has 100 bytes, and \d+ bytes of SHA-256 [0-9a-f]+ be"
    )
    with pytest.raises(PublishError, match=message):
        publish_verified(bundles[1], to=f"{kind.protocol}://{fsspec.url_to_fs(sound)[1]}")
    assert read_tree(sound) == expected_tree({1: bundles[0]}, current=bundles[0])


def test_bundle_without_configurations_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(PublishError, match=r"old has no video_encoder/config.pbtxt, which Triton needs; export"):
        publish_verified(write_tiny_bundle(tmp_path / "old"), to=url)


def test_model_of_somebody_else_is_left_alone(bundles: list[Path], url: str) -> None:
    write_text(f"{url}/resnet/config.pbtxt", "name: 'resnet'")
    publish_verified(bundles[0], to=url)
    assert read_tree(url).pop("resnet/config.pbtxt") == b"name: 'resnet'"


def test_place_with_models_of_that_name_is_refused(bundles: list[Path], url: str) -> None:
    write_text(f"{url}/text_encoder_zh/1/model.onnx", "somebody's")
    with pytest.raises(PublishError, match="models holds a model text_encoder_zh that was not published there; choose"):
        publish_verified(bundles[0], to=url)
    assert read_tree(url) == {"text_encoder_zh/1/model.onnx": b"somebody's"}


def test_version_that_was_put_there_by_hand_is_named(bundles: list[Path], url: str) -> None:
    publish_verified(bundles[0], to=url)
    write_text(f"{url}/video_encoder/9/model.onnx", "by hand")
    with pytest.raises(PublishError, match=r"has the versions \[9\], which publications.json does not list; remove"):
        publish_verified(bundles[1], to=url)


def test_bundle_of_another_shape_is_refused(bundles: list[Path], tmp_path: Path, url: str) -> None:
    other = write_bundle(tmp_path / "other")
    seal_bundle(other, num_frame_features=1)
    publish_verified(bundles[0], to=url)
    message = (
        r"video_encoder of version 1 in .*models is onnx: frames uint8 \[views, 4, 8, 8, 3\] -> frame_features float32 "
        r"\[views, 4, 16\]; that of tiny is .* \[views, 1, 16\]; publish bundles of another shape to a repository of"
    )
    with pytest.raises(PublishError, match=message):
        publish_verified(other, to=url)


def read_ledger(url: str) -> bytes:
    files, root = fsspec.url_to_fs(url)
    return bytes(files.cat_file(f"{root}/publications.json"))


@pytest.mark.parametrize(
    ("text", "message"), [("{", "document: Invalid JSON"), ('{"colour": 1}', "colour: Extra inputs")]
)
def test_broken_ledger_is_named(bundles: list[Path], url: str, text: str, message: str) -> None:
    write_text(f"{url}/publications.json", text)
    with pytest.raises(PublishError, match=rf"models/publications.json is no ledger: {message}"):
        publish_verified(bundles[0], to=url)


def test_two_commands_do_not_share_a_folder(bundles: list[Path], tmp_path: Path) -> None:
    with (
        lock_if_free(tmp_path / "models" / ".publish.lock"),
        pytest.raises(PublishError, match=r"another command is publishing to .*models; wait until it is done"),
    ):
        publish_verified(bundles[0], to=str(tmp_path / "models"))


@pytest.mark.parametrize("url", ["nosuch://bucket/models"])
def test_unknown_kind_of_place_is_named(bundles: list[Path], url: str) -> None:
    with pytest.raises(PublishError, match="nosuch://bucket/models cannot be opened: Protocol not known: nosuch; give"):
        publish_verified(bundles[0], to=url)


def test_place_that_cannot_be_written_is_named(bundles: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        PublishError, match=r"file/models cannot be used: .*; check the address and who may write there"
    ):
        publish_verified(bundles[0], to=str(tmp_path / "file" / "models"))


@pytest.fixture(params=[DyingDisk, DyingStore])
def dying(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[type[DyingDisk | DyingStore], str, str]]:
    """A kind of file system that dies, with the address of one place there and on the kind that does not."""
    kind = request.param
    kind.dies_at, kind.num_operations = float("inf"), 0
    fsspec.register_implementation(kind.protocol, kind, clobber=True)
    sound = str(tmp_path / "models") if kind is DyingDisk else "memory://bucket/models"
    yield kind, f"{kind.protocol}://{fsspec.url_to_fs(sound)[1]}", sound
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.mark.parametrize("dies_at", range(1, 32))
def test_publishing_that_stops_anywhere_leaves_a_whole_version_and_is_repeated(
    bundles: list[Path], dying: tuple[type[DyingDisk | DyingStore], str, str], dies_at: int
) -> None:
    kind, dying_url, url = dying
    publish_verified(bundles[0], to=url)
    kind.dies_at = dies_at
    with suppress(MachineDiedError):
        publish_verified(bundles[1], to=dying_url, num_kept=1)
    current = json.loads(read_ledger(url))["current"]
    tree, whole = read_tree(url), expected_tree({current: bundles[current - 1]}, current=bundles[0])
    assert [name for name, content in whole.items() if tree.get(name) != content and name not in CONFIGS] == []
    published = publish_verified(bundles[1], to=url, num_kept=1)
    assert read_tree(url) == expected_tree({published.version: bundles[1]}, current=bundles[1])


@pytest.mark.parametrize("dies_at", range(1, 24))
def test_rollback_that_stops_anywhere_goes_back_one_version_when_repeated(
    bundles: list[Path], dying: tuple[type[DyingDisk | DyingStore], str, str], dies_at: int
) -> None:
    kind, dying_url, url = dying
    for bundle in bundles[:3]:
        publish_verified(bundle, to=url)
    kind.dies_at = dies_at
    is_done = False
    with suppress(MachineDiedError):
        roll_back(dying_url)
        is_done = True
    if not is_done:
        assert roll_back(url).version == 2
    assert read_tree(url) == expected_tree({1: bundles[0], 2: bundles[1]}, current=bundles[1])
