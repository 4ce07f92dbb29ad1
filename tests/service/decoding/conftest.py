from pathlib import Path

import pytest

from tests.videos import write_numbered_video


@pytest.fixture(scope="session")
def good_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty numbered frames."""
    return write_numbered_video(tmp_path_factory.mktemp("good") / "good.mp4", num_frames=20)
