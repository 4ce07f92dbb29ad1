"""A tiny backbone and tiny data, written once a session; tests only read them."""

from pathlib import Path

import pytest

from tests.training.tiny import write_tiny_backbone, write_tiny_data
from training.data.annotations import VideoData, read_video_data


@pytest.fixture(scope="session")
def backbone_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_backbone(tmp_path_factory.mktemp("towers") / "backbone")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> VideoData:
    return read_video_data(write_tiny_data(tmp_path_factory.mktemp("videos") / "data"))


@pytest.fixture(scope="session")
def frames_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")
