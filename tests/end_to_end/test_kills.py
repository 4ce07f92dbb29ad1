"""Kills of every process of a service under load: a miniature of ``kills``."""

from pathlib import Path

from tests.end_to_end.kills import KILLS, run


def test_no_kill_loses_or_falsifies_an_answer(tmp_path: Path) -> None:
    findings = run(tmp_path, rounds=2)
    assert list(findings) == list(KILLS)
    for kind, found in findings.items():
        assert found["num_kills"] == 2, kind
        assert (found["num_lost"], found["num_wrong"]) == (0, 0), f"{kind}: {found}"
        # Retried, or told to come again; 500 would be a fault of ours, 422 would blame the video.
        assert set(found["statuses"]) <= ({0, 200, 503} if kind == "the gateway" else {200, 503}), f"{kind}: {found}"
