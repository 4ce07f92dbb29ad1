import pytest

from service.contract.prompts import Prompt, render_prompt


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{}", Prompt("", "surfing", "")),
        ("a video of {}", Prompt("a video of ", "surfing", "")),
        ("{}的视频", Prompt("", "surfing", "的视频")),
        ("this is {}, a sport", Prompt("this is ", "surfing", ", a sport")),
    ],
)
def test_template_is_cut_at_the_label(template: str, expected: Prompt) -> None:
    prompt = render_prompt(template, "surfing")
    assert prompt == expected
    assert str(prompt) == template.replace("{}", "surfing")


def test_braces_of_a_label_are_ordinary_text() -> None:
    assert str(render_prompt("a video of {}", "{} {0} {label}")) == "a video of {} {0} {label}"


@pytest.mark.parametrize("template", ["", "a video", "{} and {}", "{0}"])
def test_template_without_exactly_one_place_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="must contain exactly one") as error:
        render_prompt(template, "surfing")
    assert repr(template) in str(error.value)
