"""A start that fails: the last words of the service are repeated."""

from pathlib import Path

import pytest

from service.bench.plan import BenchError
from service.bench.start import measure_start
from service.settings import Settings


def test_service_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(BenchError) as raised:
        measure_start(Settings.load(bundle=tmp_path), advance=lambda: None)
    assert str(raised.value) == (
        f"`duoact serve` did not become ready: duoact: {tmp_path} is not a bundle: it has no bundle.json; "
        "give the folder that holds one"
    )
