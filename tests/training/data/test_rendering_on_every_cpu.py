"""What is rendered does not depend on the class of CPU: neither pixels nor files."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.cpu_classes import drawing_environments
from tests.end_to_end.server import ROOT
from training.data.motion_shapes.exact import cosine, length, sine

# Of 48 clips and 200 stills, drawn on a Zen 5 (AVX-512 with bf16). Files have no digest here: another release of x264
# may write others.
FRAMES, STILLS = "13ccd3b86afd9360", "21a1877778422395"


def render_digests(environment: dict[str, str], *arguments: str) -> dict[str, str]:
    command = [sys.executable, "-m", "tests.training.data.rendering_digests", *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def here() -> dict[str, str]:
    return render_digests(drawing_environments()["this CPU"])


@pytest.mark.cpu_class
def test_pixels_are_those_of_every_other_machine(here: dict[str, str]) -> None:
    assert (here["frames"], here["stills"]) == (FRAMES, STILLS)


@pytest.mark.cpu_class
@pytest.mark.parametrize("name", drawing_environments())
def test_pixels_and_files_are_those_of_a_lesser_class(here: dict[str, str], name: str) -> None:
    assert render_digests(drawing_environments()[name]) == here


@pytest.mark.cpu_class
def test_files_are_those_of_ffmpeg_without_machine_code(here: dict[str, str]) -> None:
    assert render_digests(drawing_environments()["this CPU"], "portable") == here


def test_sine_and_cosine_are_exact_to_the_last_bits() -> None:
    angles = np.random.default_rng(0).uniform(-500, 500, 100_000)
    np.testing.assert_allclose(sine(angles), np.sin(angles), rtol=0, atol=4e-16)
    np.testing.assert_allclose(cosine(angles), np.cos(angles), rtol=0, atol=4e-16)
    assert (sine(0.0), cosine(0.0)) == (0.0, 1.0)


def test_length_is_that_of_a_vector() -> None:
    assert length(3.0, 4.0) == 5.0
    np.testing.assert_array_equal(length(np.array([5.0, 8.0]), np.array([12.0, 15.0])), [13.0, 17.0])
