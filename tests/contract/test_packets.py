import numpy as np
import pytest

from service.contract.packets import NO_TIME, PacketIndex, shows_a_frame


def make_index(
    times: list[int],
    *,
    keyframes: tuple[int, ...] = (0,),
    hidden: tuple[int, ...] = (),
    turns: tuple[int, ...] = (),
    is_countable: bool = True,
) -> PacketIndex:
    positions = np.arange(len(times))
    return PacketIndex(
        times=np.array(times, dtype=np.int64),
        decode_times=positions,
        is_keyframe=np.isin(positions, keyframes),
        is_shown=~np.isin(positions, hidden),
        turns=np.array(turns, dtype=np.int64),
        first_packet=(0, 0, 1),
        is_countable=is_countable,
        problem=None,
    )


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([3], [(0, 4)]),
        ([3, 12], [(0, 4), (10, 13)]),
        ([0, 10], [(0, 1), (10, 11)]),
        ([9, 10], [(0, 11)]),
        ([2, 5, 8], [(0, 9)]),
        ([19, 4, 4], [(0, 5), (10, 20)]),
    ],
)
def test_a_run_starts_at_the_keyframe_before_its_targets(targets: list[int], expected: list[tuple[int, int]]) -> None:
    index = make_index(list(range(20)), keyframes=(0, 10))
    assert index.plan_runs(np.array(targets)) == expected


@pytest.mark.parametrize(
    ("targets", "expected"),
    [([5], [(0, 6)]), ([4, 5], [(0, 6)]), ([4], [(4, 5)]), ([7], [(4, 8)]), ([1, 4, 6], [(0, 7)])],
)
def test_a_picture_shown_before_its_keyframe_needs_the_group_before(
    targets: list[int], expected: list[tuple[int, int]]
) -> None:
    # Open groups: packets 5 and 6 are decoded after keyframe 4, but shown before it.
    index = make_index([0, 3, 1, 2, 6, 4, 5, 7], keyframes=(0, 4))
    assert index.plan_runs(np.array(targets)) == expected


def test_frames_are_presented_in_the_order_of_their_times() -> None:
    index = make_index([0, 8, 4, 2, 6], hidden=(2,))
    assert index.presentation.tolist() == [0, 3, 4, 1]
    assert index.num_frames == 4


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (make_index([0, 2, 1]), True),
        (make_index([-2, -1, 0], hidden=(0, 1)), True),
        (make_index([0, 2, 2], hidden=(1,)), True),
        (make_index([0, 2, 2]), False),
        (make_index([0, NO_TIME, 2]), False),
        (make_index([1, 0, 2]), False),
        (make_index([0, 1, 2], keyframes=(1,)), False),
        (make_index([0, 1, 2], is_countable=False), False),
        (make_index([0, 1], hidden=(0, 1)), False),
    ],
)
def test_an_index_is_exact_only_with_distinct_times_from_a_first_keyframe(index: PacketIndex, expected: bool) -> None:
    assert index.is_exact is expected


@pytest.mark.parametrize(
    ("codec", "packet", "expected"),
    [
        ("h264", b"\x00", True),
        ("vp8", b"\x10\x00", True),
        ("vp8", b"\x00\x00", False),
        ("vp9", b"\x82\x00", True),
        ("vp9", b"\x80\x00", False),
        ("vp9", b"\x88", True),
        ("vp9", b"\xb1\x00", True),
        ("vp9", b"\xb0\x00", False),
        ("vp9", b"\xb4", True),
        ("vp9", b"\x80\x00\xc1", True),
    ],
)
def test_hidden_frames_of_vp8_and_vp9_are_recognised(codec: str, packet: bytes, expected: bool) -> None:
    assert shows_a_frame(packet, codec=codec) is expected
