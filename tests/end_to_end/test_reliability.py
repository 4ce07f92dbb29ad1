"""More load than can be worked off, and a crowd of slow clients: a miniature of ``reliability``."""

from pathlib import Path

from tests.end_to_end.reliability import run


def test_every_request_is_answered_or_told_when_to_come_back(tmp_path: Path) -> None:
    found = run(tmp_path, seconds=2.0, num_dripping=20, num_half_open=40, num_uploads=5, upload_bytes=1_000_000)
    loads = found["load"]
    assert list(loads) == ["1x", "2x", "5x"]
    for name, summary in loads.items():
        assert summary["num_invalid"] == 0, (name, summary)
        assert summary["num_answered"] > 0, (name, summary)
    assert 429 in loads["5x"]["statuses"]
    beside = found["healthy_client"]["beside_a_crowd"]
    assert (beside["num_invalid"], set(beside["statuses"])) == (0, {200})
