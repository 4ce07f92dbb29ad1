"""What is published is what a real server finds, and what is taken back is gone there too."""

from pathlib import Path

import pytest
from tritonclient.grpc import InferenceServerClient

from tests.training.publishing.publications import write_bundle
from tests.triton.conftest import StartServer
from tests.triton.server import TritonServer
from training.publishing.publish import publish_verified, roll_back

MODELS = ("video_encoder", "text_encoder_en", "text_encoder_zh")


def list_ready(server: TritonServer) -> dict[str, tuple[int, ...]]:
    """The versions of every model that a server takes requests for."""
    with InferenceServerClient(server.address) as client:
        return {model: tuple(v for v in range(1, 5) if client.is_model_ready(model, str(v))) for model in MODELS}


def reload(server: TritonServer) -> dict[str, tuple[int, ...]]:
    for model in MODELS:
        server.load(model)
    return list_ready(server)


@pytest.mark.slow
def test_server_follows_publications_and_rollbacks(start_server: StartServer, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    bundles = [write_bundle(tmp_path / str(n), remark=str(n)) for n in range(3)]
    publish_verified(bundles[0], to=str(repository))
    server = start_server(repository)
    assert list_ready(server) == dict.fromkeys(MODELS, (1,))
    publish_verified(bundles[1], to=str(repository))
    publish_verified(bundles[2], to=str(repository))
    # What a command that is still copying has on disk.
    (repository / "video_encoder" / ".4.partial").mkdir()
    assert reload(server) == dict.fromkeys(MODELS, (2, 3))
    roll_back(str(repository))
    assert reload(server) == dict.fromkeys(MODELS, (1, 2))
