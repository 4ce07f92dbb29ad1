"""Checkpoints of side networks: logits equal those of their own forward pass; stems, towers and classes must fit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from service.contract.labels import Label
from tests.training.importers.released import write_legacy, write_zip
from tests.training.importers.sides import SideReference, draw_side
from tests.training.importers.towers import CONFIG, draw_clip, write_towers
from training.config.adapters import SideNetworkConfig
from training.config.model import CLIP_MEAN, CLIP_STD
from training.errors import ImportProblem
from training.importers.conversion import Converted, Preset
from training.importers.families import import_checkpoint
from training.runs.run import load_model

CLIP_TENSORS = draw_clip(0)
LABELS = (Label("pushing left", "向左推"), Label("pushing right"), Label("lifting", "举起"))
Edit = Callable[[dict[str, Tensor]], object]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_towers(tmp_path_factory.mktemp("tds") / "backbone", CLIP_TENSORS)


def side_state(family: str, *, width: int = 128) -> dict[str, Tensor]:
    torch.manual_seed(3)
    return draw_side(CLIP_TENSORS, config=CONFIG, width=width, num_classes=3, is_tds=family == "tds")


def write(path: Path, state: dict[str, Tensor], *, container: Callable[..., Path] = write_zip) -> Path:
    path.parent.mkdir(exist_ok=True)
    return container(path, {"epoch": 29, "model_state_dict": state, "optimizer_state_dict": {"state": {}}})


def run(path: Path, family: str, *, backbone: Path, preset: Preset | None = "ssv") -> Converted:
    """Import beside the file."""
    return import_checkpoint(
        family, path, backbone_dir=backbone, out=path.parent / "run", num_frames=4, labels=LABELS, preset=preset
    )


@torch.no_grad()
@pytest.mark.parametrize(("family", "padding", "local"), [("tds", 1, (5,)), ("side4video", 0, ())])
@pytest.mark.parametrize(("width", "num_heads"), [(32, 1), (128, 2)])
def test_checkpoint_equals_its_own_forward_pass(
    tmp_path: Path, backbone: Path, family: str, padding: int, local: tuple[int, ...], width: int, num_heads: int
) -> None:
    state = side_state(family, width=width)
    run(write(tmp_path / "best.pt", state), family, backbone=backbone)
    shape = (2, 4, *local, 32, 32, 3)
    frames = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    expected = SideReference(state, CLIP_TENSORS, config=CONFIG, padding=padding, num_heads=num_heads)(frames)
    assert expected.std() > 0.1
    logits = load_model(tmp_path / "run").encode_video(frames)[:, 0]
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["tds", "side4video"])
def test_older_container_with_a_prefix_gives_the_same_run(tmp_path: Path, backbone: Path, family: str) -> None:
    state = side_state(family, width=32)
    run(write(tmp_path / "new" / "best.pt", state), family, backbone=backbone)
    prefixed = {f"module.{name}": tensor for name, tensor in state.items()}
    run(write(tmp_path / "old" / "best.pt", prefixed, container=write_legacy), family, backbone=backbone)
    new, old = (load_model(tmp_path / name / "run").state_dict() for name in ("new", "old"))
    assert new.keys() == old.keys()
    assert all(torch.equal(new[name], old[name]) for name in new)


def test_model_of_a_checkpoint(tmp_path: Path, backbone: Path) -> None:
    found = run(write(tmp_path / "best.pt", side_state("tds")), "tds", backbone=backbone)
    assert found.model.adapters == SideNetworkConfig(side_width=128, sme_alpha=0.5, stem_padding=1, num_classes=3)
    assert (found.model.method, found.model.num_frames, found.labels) == ("tds", 4, LABELS)
    tables = [(tmp_path / "run" / name).read_text(encoding="utf-8") for name in ("labels.csv", "classes.csv")]
    assert tables == ["id,en,zh\n0,pushing left,向左推\n1,pushing right,\n2,lifting,举起\n"] * 2


@pytest.mark.parametrize(
    ("preset", "rule", "size", "sampling"),
    [("ssv", "exact", (37, 46), "rounded_segments"), ("k400", "short_side", 37, "segment_starts")],
)
def test_preset_says_how_pictures_are_cut(
    tmp_path: Path, backbone: Path, preset: Preset, rule: str, size: object, sampling: str
) -> None:
    run(write(tmp_path / "best.pt", side_state("tds", width=16)), "tds", backbone=backbone, preset=preset)
    config = load_model(tmp_path / "run").config
    assert config.sampling_rule == sampling
    expected = {
        "resize_rule": rule,
        "resize_size": size,
        "interpolation": "bicubic",
        "mean": CLIP_MEAN,
        "std": CLIP_STD,
    }
    assert config.preprocessing.model_dump(include=set(expected)) == expected


@pytest.mark.parametrize(("asked", "found", "is_there"), [("tds", "side4video", "no"), ("side4video", "tds", "a")])
def test_checkpoint_of_the_other_stem_padding_is_refused(
    tmp_path: Path, backbone: Path, asked: str, found: str, is_there: str
) -> None:
    message = (
        rf"best\.pt is of {found}, not of {asked}: a checkpoint of the other stem padding, as there is {is_there} "
        rf"side_conv1_c5 in it; import it as {found}$"
    )
    with pytest.raises(ImportProblem, match=message):
        run(write(tmp_path / "best.pt", side_state(found, width=16)), asked, backbone=backbone)


def misname(state: dict[str, Tensor]) -> None:
    state["visual.transformer.side_lns.9.weight"] = state.pop("visual.transformer.side_lns.0.weight")
    state["fc.bias"] = torch.zeros(2)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            misname,
            r"best\.pt does not hold the tensors of its family\. missing: video\.side\.tap_norms\.0\.weight; "
            r"unexpected: video\.side\.tap_norms\.9\.weight; "
            r"of another shape: video\.head\.fc\.bias is \(2,\), not \(3,\)$",
        ),
        (lambda state: state.pop("fc.weight"), r"missing: video\.head\.fc\.weight; of another shape"),
        (lambda state: state.pop("visual.conv1.weight"), r"missing: visual\.conv1\.weight$"),
        (lambda state: state.update({"text.weight": torch.zeros(1)}), r"unexpected: text\.weight$"),
        (
            lambda state: state.update({"visual.proj": CLIP_TENSORS["visual.proj"] + 1}),
            r"best\.pt was trained with its image tower frozen, but these tensors are not the backbone's: visual\.proj",
        ),
        (
            lambda state: state.update({"visual.side_conv1.weight": torch.zeros(200, 3, 3, 16, 16)}),
            r"best\.pt has sizes that make no model: side_width is 200; it must be at least 1 and, from 64 on, ",
        ),
    ],
)
def test_misfits_are_named(tmp_path: Path, backbone: Path, edit: Edit, message: str) -> None:
    state = side_state("tds", width=16)
    edit(state)
    with pytest.raises(ImportProblem, match=message):
        run(write(tmp_path / "best.pt", state), "tds", backbone=backbone)


def test_end_of_the_tower_may_lie_in_the_file(tmp_path: Path, backbone: Path) -> None:
    end = {name: CLIP_TENSORS[name] for name in ("visual.proj", "visual.ln_post.weight", "visual.ln_post.bias")}
    run(write(tmp_path / "best.pt", {**side_state("tds", width=16), **end}), "tds", backbone=backbone)
    assert torch.equal(load_model(tmp_path / "run").video.visual.proj, CLIP_TENSORS["visual.proj"])


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ("preset", r"best\.pt does not say which data set cut its pictures; give --preset, one of ssv, k400"),
        ("num_frames", r"best\.pt does not say how many frames its clips have; give --frames"),
        ("labels", r"best\.pt does not name its 3 classes; give --labels with a table id,en,zh of them"),
    ],
)
def test_what_the_file_does_not_say_is_asked_for(tmp_path: Path, backbone: Path, lacking: str, message: str) -> None:
    path = write(tmp_path / "best.pt", side_state("tds", width=16))
    given = {"preset": "ssv", "num_frames": 4, "labels": LABELS, lacking: None}
    with pytest.raises(ImportProblem, match=message):
        import_checkpoint("tds", path, backbone_dir=backbone, out=tmp_path / "run", **given)  # type: ignore[arg-type]
