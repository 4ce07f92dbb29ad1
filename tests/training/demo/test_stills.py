"""Stills: drawn by number, hinting at actions only when cued, described truthfully."""

from dataclasses import replace

import numpy as np
import pytest

from training.data.motion_shapes import ActionLabel, Scene, draw_scene, motion_shapes_labels
from training.data.motion_shapes.render import PixelGrid, paint_background, paint_shape
from training.data.motion_shapes.scene import Motion
from training.demo.captions import predicate_number
from training.demo.cues import paint_cued_scene
from training.demo.stills import describe_layout, draw_stills

LABELS = motion_shapes_labels()
GRID = PixelGrid.of(width=48, height=48)


def draw(label: ActionLabel, *, seed: int = 0) -> Scene:
    return draw_scene(label, rng=np.random.default_rng(seed))


def test_the_same_seed_draws_the_same_stills_with_any_number_of_workers() -> None:
    first, second = (draw_stills(6, seed=5, size_pixels=32, num_workers=workers) for workers in (1, 2))
    assert all(np.array_equal(one.pixels, two.pixels) for one, two in zip(first, second, strict=True))
    assert [one.facts for one in first] == [two.facts for two in second]


def test_twins_share_the_subject_and_play_opposite_actions() -> None:
    stills = draw_stills(40, seed=0, size_pixels=32, num_workers=1)
    reversals = {
        predicate_number("action", label.action.name): predicate_number("action", LABELS[label.reversed_id].action.name)
        for label in LABELS[:12]
    }
    facts = [still.facts for still in stills]
    twins = list(zip(facts[::2], facts[1::2], strict=True))
    assert all((one.shape, one.colour, one.is_pair) == (two.shape, two.colour, two.is_pair) for one, two in twins)
    cued = [(one.predicates[0], two.predicates[0]) for one, two in twins if one.predicates[0] in reversals]
    assert len(cued) > 5
    assert all(reversals[one] == two for one, two in cued)


def test_another_seed_or_number_draws_another_still() -> None:
    (zero, one), (other, _) = (draw_stills(2, seed=seed, size_pixels=32, num_workers=1) for seed in (5, 6))
    assert zero.pixels.shape == (32, 32, 3)
    assert not np.array_equal(zero.pixels, one.pixels)
    assert not np.array_equal(zero.pixels, other.pixels)


@pytest.mark.parametrize("label", LABELS[:12], ids=lambda label: label.action.name)
def test_cues_show_more_than_a_plain_frame(label: ActionLabel) -> None:
    scene = draw(label)
    cued = paint_cued_scene(scene, action=label.action, grid=GRID, time=0.9, rng=np.random.default_rng(0))
    plain = paint_background(scene.background, grid=GRID, time=0.9)
    for motion in scene.motions:
        paint_shape(plain, scene.shape, scene.colour, pose=motion.at(0.9), grid=GRID)
    assert (np.abs(cued - plain).max(axis=-1) > 0.1).sum() > 20


@pytest.mark.parametrize("label", LABELS[:12:2], ids=lambda label: label.action.pair)
def test_cues_tell_the_two_actions_of_a_pair_apart(label: ActionLabel) -> None:
    scene, other = draw(label), LABELS[label.reversed_id]
    first = paint_cued_scene(scene, action=label.action, grid=GRID, time=1.0, rng=np.random.default_rng(0))
    second = paint_cued_scene(scene.reversed(), action=other.action, grid=GRID, time=0.0, rng=np.random.default_rng(0))
    assert (np.abs(first - second).max(axis=-1) > 0.1).sum() > 10


@pytest.mark.parametrize(
    ("change", "predicate"),
    [
        ({"x": 0.1, "y": 0.9}, predicate_number("place", 0, 2)),
        ({"x": -0.1, "y": 1.2}, predicate_number("place", 0, 2)),
        ({"radius": 0.4}, predicate_number("size", 4)),
        ({"angle": np.pi / 2}, predicate_number("direction", 2)),
        ({"angle": -np.pi / 2}, predicate_number("direction", 6)),
        ({"opacity": 0.1}, predicate_number("opacity", 0)),
    ],
)
def test_layout_is_described_as_it_is(change: dict[str, float], predicate: int) -> None:
    scene = draw(LABELS[0])
    pose = replace(scene.motions[0].start, **change)
    assert predicate in describe_layout(replace(scene, motions=(Motion(pose, pose),)), time=0.5)


def test_nothing_else_is_said_of_a_turned_shape() -> None:
    scene = draw(LABELS[0])
    pose = replace(scene.motions[0].start, angle=np.pi)
    turned = replace(scene, motions=(Motion(pose, pose),))
    assert describe_layout(turned, time=0.5) == [predicate_number("direction", 4)]


@pytest.mark.parametrize(("radii", "distance"), [(2.0, 0), (2.5, 1), (3.0, 2), (4.0, 3)])
def test_two_shapes_are_described_by_their_distance(radii: float, distance: int) -> None:
    scene = draw(LABELS[8])
    left = replace(scene.motions[0].start, x=0.2, y=0.5)
    right = replace(left, x=0.2 + radii * left.radius)
    resting = replace(scene, motions=(Motion(left, left), Motion(right, right)))
    assert predicate_number("distance", distance) in describe_layout(resting, time=0.0)
