"""open_clip's tags: where their files are fetched from, and what a tag says of a file."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.importers.public import draw_clip, write_openai
from training.errors import ImportProblem
from training.importers.open_clip import fetch_weights, read_clip

pytestmark = pytest.mark.usefixtures("tiny_architectures")
OPENAI_B16 = "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"


def write_weights(folder: Path) -> Path:
    torch.save(draw_clip(), folder / "a.bin")
    return folder / "a.bin"


def fail(_: dict[str, Any]) -> str:
    raise OSError("no route to host\nand more")


@pytest.mark.parametrize(
    ("architecture", "tag", "message"),
    [
        ("ViT-B-16", "openai", "openai of ViT-B-16 was trained with QuickGELU, .* --backbone ViT-B-16-quickgelu"),
        ("ViT-B-16", "dfn2b", "dfn2b of ViT-B-16 was trained with QuickGELU, .* --backbone ViT-B-16-quickgelu"),
        (
            "ViT-L-14-quickgelu",
            "laion2b_s32b_b82k",
            "laion2b_s32b_b82k of ViT-L-14-quickgelu was trained without QuickGELU, .* --backbone ViT-L-14$",
        ),
    ],
)
def test_tag_under_a_name_of_the_other_activation_is_refused(
    tmp_path: Path, architecture: str, tag: str, message: str
) -> None:
    path = write_weights(tmp_path)
    with pytest.raises(ImportProblem, match=message):
        read_clip(architecture, f"{tag}={path}")


def test_archive_of_openai_is_not_another_tag(tmp_path: Path) -> None:
    path = write_openai(tmp_path / "ViT.pt", draw_clip())
    with pytest.raises(ImportProblem, match=r"ViT\.pt is OpenAI's archive, not laion2b_s34b_b88k of ViT-B-16; give"):
        read_clip("ViT-B-16", f"laion2b_s34b_b88k={path}")


def test_unknown_tag_lists_the_known_ones() -> None:
    message = "pretrained is 'nope', which is neither a file nor a tag of ViT-B-16; its tags are .*datacomp.*, openai"
    with pytest.raises(ImportProblem, match=message):
        read_clip("ViT-B-16", "nope")


def test_tag_without_its_file_is_named(tmp_path: Path) -> None:
    message = r"/gone\.pt is not a file; give the one that holds the weights of openai of ViT-B-16-quickgelu"
    with pytest.raises(ImportProblem, match=message):
        read_clip("ViT-B-16-quickgelu", f"openai={tmp_path}/gone.pt")


@pytest.mark.parametrize(
    ("architecture", "tag", "place"),
    [
        (
            "ViT-B-16-quickgelu",
            "openai",
            rf"https://openaipublic\S*/{OPENAI_B16}/ViT-B-16\.pt or https://huggingface\.co/timm/vit_base\S*",
        ),
        ("ViT-B-16", "datacomp_xl_s13b_b90k", r"https://huggingface\.co/laion/CLIP-ViT-B-16-DataComp\.XL-s13B-b90K"),
    ],
)
def test_weights_that_cannot_be_fetched_say_from_where_and_what_to_do(architecture: str, tag: str, place: str) -> None:
    message = (
        rf"'{tag}' of {architecture} could not be fetched from {place}: no route to host\. .* --pretrained {tag}=F"
    )
    with pytest.raises(ImportProblem, match=message):
        read_clip(architecture, tag, fetch=fail)


@pytest.mark.parametrize(
    ("record", "unreachable", "expected"),
    [
        ({"url": "u", "hf_hub": "h"}, set(), ["u"]),
        ({"url": "u", "hf_hub": "h"}, {"u"}, ["u", "h"]),
        ({"hf_hub": "h"}, set(), ["h"]),
        ({"url": "u"}, set(), ["u"]),
    ],
)
def test_weights_are_fetched_from_the_hub_where_the_release_is_away(
    record: dict[str, Any], unreachable: set[str], expected: list[str]
) -> None:
    asked: list[str] = []

    def download(place: dict[str, Any]) -> str:
        asked.append(place.get("url") or place["hf_hub"])
        if asked[-1] in unreachable:
            raise OSError(asked[-1])
        return asked[-1]

    assert (fetch_weights(record, download=download), asked) == (expected[-1], expected)


def test_file_of_a_tag_has_its_pictures_and_licence(tmp_path: Path) -> None:
    """Only what the tag says is of interest; the file is another architecture's, which comes out last."""
    path = write_weights(tmp_path)
    fetched: list[str] = []

    def fetch(record: dict[str, Any]) -> str:
        fetched.append(record["hf_hub"])
        return str(path)

    with pytest.raises(ImportProblem, match="laion2b_s32b_b82k of ViT-L-14 is not ViT-L-14: embed_dim is 32, not 768"):
        read_clip("ViT-L-14", "laion2b_s32b_b82k", fetch=fetch)
    assert fetched == ["laion/CLIP-ViT-L-14-laion2B-s32B-b82K/"]
