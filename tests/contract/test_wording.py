"""Messages that name some of many things."""

from service.contract.wording import list_some


def test_the_first_are_named_and_the_rest_counted() -> None:
    assert list_some(["a", "b"]) == "a, b"
    assert list_some(["a", "b", "c"], num_named=2, separator="; ") == "a; b and 1 more"


def test_only_what_is_named_is_rendered() -> None:
    rendered: list[int] = []

    def render(item: int) -> str:
        rendered.append(item)
        return f"<{item}>"

    assert list_some(range(10_000), render=render, num_named=2) == "<0>, <1> and 9998 more"
    assert rendered == [0, 1]
