import numpy as np
import pytest
from jaxtyping import UInt8

from service.contract.pictures import HDR_SHORT_SIDE, Geometry, displayed_size, read_picture
from service.contract.tone_mapping import Transfer, compress_light, light_to_pq, pq_to_light, tone_map
from tests.hdr import encode_hdr, make_hdr_frame

TRANSFERS: tuple[Transfer, ...] = ("pq", "hlg")
DARK = np.array([[[0, 0, 0], [60, 60, 60], [128, 128, 128], [150, 40, 20], [20, 140, 90], [30, 50, 160]]], np.uint8)
WHITE = np.full((1, 1, 3), 255, np.uint8)


@pytest.mark.parametrize(
    # Report ITU-R BT.2408-7, table 1: reference levels as PQ and HLG signals in percent.
    ("light", "percent"),
    [(0, 0), (203, 58), (1000, 75.2), (10_000, 100)],
)
def test_pq_has_the_published_levels(light: float, percent: float) -> None:
    assert light_to_pq(np.array([float(light)]))[0] * 100 == pytest.approx(percent, abs=0.1)
    assert pq_to_light(light_to_pq(np.array([float(light)])))[0] == pytest.approx(light, abs=1e-6)


def test_hlg_puts_reference_white_at_three_quarters() -> None:
    signal = encode_hdr(WHITE, transfer="hlg")[0, 0] / 65535
    assert signal == pytest.approx([0.75, 0.75, 0.75], abs=0.003)


def test_the_curve_leaves_the_dark_alone_and_bends_towards_reference_white() -> None:
    light = np.array([0.1, 1, 10, 90, 203, 400, 1000, 4000])
    expected = [0.1, 1, 10, 90, 159, 194, 203, 203]
    assert compress_light(light) == pytest.approx(np.array(expected), rel=0.01)
    assert (np.diff(compress_light(np.linspace(1, 1000, 500))) > 0).all()


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_a_picture_of_standard_range_comes_back_below_the_knee(transfer: Transfer) -> None:
    found = tone_map(encode_hdr(DARK, transfer=transfer), transfer=transfer, is_bt2020=True)
    assert np.abs(found.astype(int) - DARK).max() <= 3


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)])
def test_bright_colours_keep_their_hue(transfer: Transfer, colour: tuple[int, int, int]) -> None:
    picture = np.array([[colour]], np.uint8)
    red, green, blue = tone_map(encode_hdr(picture, transfer=transfer), transfer=transfer, is_bt2020=True)[0, 0]
    for value, wanted in zip((red, green, blue), colour, strict=True):
        assert value > 220 if wanted else value < 12


def test_highlights_are_compressed_not_clipped() -> None:
    found = [
        tone_map(encode_hdr(WHITE, transfer="pq", white=white), transfer="pq", is_bt2020=True)[0, 0, 0]
        for white in (203, 300, 450, 1000)
    ]
    assert found == sorted(set(found))
    assert found[-1] == 255


def test_primaries_of_bt709_stay() -> None:
    picture = np.full((1, 1, 3), [40_000, 10_000, 10_000], np.uint16)
    kept, changed = (tone_map(picture, transfer="pq", is_bt2020=wide)[0, 0] for wide in (False, True))
    assert kept[1] == kept[2] > changed[1]


def decode_hdr(picture: UInt8[np.ndarray, "H W 3"], *, transfer: Transfer) -> UInt8[np.ndarray, "rows columns 3"]:
    frame = make_hdr_frame(encode_hdr(picture, transfer=transfer), transfer=transfer)
    return read_picture(frame, geometry=Geometry(), max_pixels=10**7)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_a_frame_is_mapped_by_its_own_mark(transfer: Transfer) -> None:
    picture = np.full((32, 32, 3), [120, 60, 30], np.uint8)
    assert np.abs(decode_hdr(picture, transfer=transfer).astype(int) - picture).max() <= 4
    unmarked = make_hdr_frame(encode_hdr(picture, transfer=transfer), transfer=transfer)
    unmarked.color_trc = 1
    assert np.abs(read_picture(unmarked, geometry=Geometry(), max_pixels=10**7).astype(int) - picture).max() > 15


def test_a_large_picture_is_reduced_before_it_is_mapped() -> None:
    picture = np.full((HDR_SHORT_SIDE * 2, HDR_SHORT_SIDE * 3, 3), 90, np.uint8)
    frame = make_hdr_frame(encode_hdr(picture, transfer="pq"), transfer="pq")
    reduced = read_picture(frame, geometry=Geometry(), max_pixels=10**7)
    assert reduced.shape == (HDR_SHORT_SIDE, HDR_SHORT_SIDE * 3 // 2, 3)
    assert np.abs(reduced.astype(int) - 90).max() <= 3
    assert displayed_size(frame, Geometry()) == (HDR_SHORT_SIDE * 3, HDR_SHORT_SIDE * 2)
