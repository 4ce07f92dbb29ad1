"""The composition root chooses the engine that the settings name."""

import sys

import pytest

from service.app import load_encoders
from service.contract.errors import EncoderUnavailableError
from service.contract.manifest import Bundle, open_bundle
from service.settings import Settings, SettingsError
from tests.service.encoders.triton.stand_in import serve_stand_in
from tests.tiny_graphs import write_tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.mark.parametrize(("version", "asked"), [(None, "1"), ("7", "7"), ("latest", "")])
async def test_triton_is_asked_where_an_address_is_given(bundle: Bundle, version: str | None, asked: str) -> None:
    async with serve_stand_in(bundle) as (server, address):
        server.versions = ("1", "7")
        settings = Settings.load(triton=address, triton_timeout_seconds=9.0, triton_model_version=version)
        encoders = load_encoders(bundle, settings)
        await encoders.check()
        encoders.close()
    assert {request.model_version for request in server.requests} == {asked}
    assert {round(seconds) for seconds in server.remaining_seconds} == {9}


@pytest.mark.parametrize("files", [{}, {"triton_root_certificates": "bundle.json"}])
async def test_encrypted_connection_is_asked_for(bundle: Bundle, files: dict[str, str]) -> None:
    paths = {name: bundle.directory / file for name, file in files.items()}
    async with serve_stand_in(bundle) as (server, address):
        encoders = load_encoders(bundle, Settings.load(triton=address, triton_tls=not files, **paths))
        with pytest.raises(EncoderUnavailableError, match="Triton"):
            await encoders.check()
    assert server.requests == []


def test_missing_client_of_triton_is_named(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "service.encoders.triton.engine", None)
    with pytest.raises(SettingsError, match=r"DUOACT_TRITON is 'gpu:8001', but .*; pip install 'duoact\[triton\]'"):
        load_encoders(bundle, Settings.load(triton="gpu:8001"))
