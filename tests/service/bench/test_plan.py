"""What can be measured: numbers that make sense, and one clear line for those that do not."""

import pytest

from service.bench.plan import BenchError, BenchPlan, parse_numbers


def test_round_has_its_share_of_requests_but_four_for_each_that_runs_at_the_same_time() -> None:
    plan = BenchPlan(num_requests=31, num_rounds=3)
    assert [plan.num_requests_per_round(concurrency) for concurrency in (1, 2, 8)] == [11, 11, 32]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_requests": 0}, "--num-requests is 0; give at least 1"),
        ({"num_warm_up": -1}, "--num-warm-up is -1; give at least 1"),
        ({"num_rounds": 0}, "--num-rounds is 0; give at least 1"),
        ({"num_labels": 0}, "--num-labels is 0; give at least 1"),
        ({"concurrencies": (2, 0)}, "--concurrency is 0; give at least 1"),
        ({"batch_sizes": (-3,)}, "--batch-sizes is -3; give at least 1"),
        ({"concurrencies": (2, 2)}, "--concurrency is '2,2'; give different whole numbers, such as 1,2,4"),
    ],
)
def test_impossible_number_is_refused_by_the_name_of_its_option(fields: dict[str, object], message: str) -> None:
    with pytest.raises(BenchError) as raised:
        BenchPlan(**fields)  # type: ignore[arg-type]
    assert str(raised.value) == message


def test_numbers_are_separated_by_commas() -> None:
    assert parse_numbers("1, 2,16", option="concurrency") == (1, 2, 16)


@pytest.mark.parametrize("text", ["", "1,", "two", "1.5"])
def test_text_that_is_no_list_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(BenchError) as raised:
        parse_numbers(text, option="batch-sizes")
    assert str(raised.value) == f"--batch-sizes is {text!r}; give whole numbers separated by commas, such as 1,2,4"
