"""A time limit counts down, never below nothing, and work that several wait for has the longest of theirs."""

import pytest

from service.encoders.time_limit import TimeLimit, latest


def test_time_runs_down() -> None:
    left = TimeLimit.after(5.0).remaining_seconds
    assert 4.0 < left <= 5.0


def test_time_is_never_negative() -> None:
    assert TimeLimit.after(-1.0).remaining_seconds == 0.0


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (TimeLimit(1.0), TimeLimit(2.0), TimeLimit(2.0)),
        (TimeLimit(2.0), TimeLimit(1.0), TimeLimit(2.0)),
        (None, TimeLimit(1.0), None),
        (TimeLimit(1.0), None, None),
    ],
)
def test_latest_limit_is_that_of_who_waits_longest(
    first: TimeLimit | None, second: TimeLimit | None, expected: TimeLimit | None
) -> None:
    assert latest(first, second) == expected
