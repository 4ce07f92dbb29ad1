"""The form of a recognition: what OpenAPI shows of it, and that every text is taken or refused by name."""

import json

import pytest
from pydantic import ValidationError

from service.api.form import RecognizeForm, check_form, describe_form, explain_refusal
from service.contract.errors import DuoActError, MalformedRequestError
from service.contract.views import ViewPlan
from service.recognition.questions import Question, StoredVideo

VIDEO = StoredVideo(0, "0" * 64)
TEXT_FIELDS = sorted({field.alias or name for name, field in RecognizeForm.model_fields.items()} - {"video", "labels"})
ODD_TEXTS = ("", " ", "null", "nan", "-inf", "-1", "1e400", "{}", "{}{}", "\0", "0x0", "1x1\n", "½")


def test_what_is_left_out_is_as_in_a_question() -> None:
    form = check_form({"video": VIDEO})
    left_out = Question(labels=())
    assert (form.labels, form.label_set, form.deadline_seconds) == (None, None, None)
    assert (form.views, form.top_k, form.fusion_lambda) == (left_out.plan, left_out.top_k, left_out.fusion_lambda)
    assert (form.template, form.strict, form.explain) == (left_out.template, left_out.strict, left_out.explain)


def test_texts_become_values() -> None:
    texts = {"views": "4x3", "top_k": "7", "lambda": "0.25", "strict": "TRUE", "explain": "0", "deadline_seconds": "2"}
    form = check_form({"video": VIDEO, **texts})
    assert (form.views, form.top_k, form.fusion_lambda) == (ViewPlan(4, 3), 7, 0.25)
    assert (form.strict, form.explain, form.deadline_seconds) == (True, False, 2.0)


@pytest.mark.parametrize("text", ODD_TEXTS)
@pytest.mark.parametrize("name", TEXT_FIELDS)
def test_odd_text_is_taken_or_refused_by_the_name_of_its_field(name: str, text: str) -> None:
    refusal = ""
    try:
        check_form({"video": VIDEO, name: text})
    except DuoActError as error:
        refusal = str(error)
    assert refusal.startswith(f"{name} ") or not refusal


@pytest.mark.parametrize("name", ["deadline_seconds", "explain", "lambda", "strict", "top_k", "views"])
def test_refusal_repeats_only_the_beginning_of_a_long_text(name: str) -> None:
    with pytest.raises(DuoActError, match=f"^{name} is '9{{30}}") as error:
        check_form({"video": VIDEO, name: "9" * 5000 + "x"})
    assert len(str(error.value)) < 150


def test_number_of_too_many_digits_is_refused() -> None:
    with pytest.raises(DuoActError, match=r"^top_k is '9{64}'; give a whole number of fewer digits$"):
        check_form({"video": VIDEO, "top_k": "9" * 5000})


def test_refusal_of_another_kind_is_told_in_the_words_of_the_check() -> None:
    error = ValidationError.from_exception_data(
        "RecognizeForm", [{"type": "int_from_float", "loc": ("top_k",), "input": "+-5"}]
    )
    refusal = explain_refusal(error)
    assert isinstance(refusal, MalformedRequestError)
    assert str(refusal).startswith("top_k is '+-5'; Input should be a valid integer")


def test_name_of_a_field_inside_the_program_is_not_one_of_the_form() -> None:
    message = (
        r"unknown field 'fusion_lambda'; allowed are video, labels, label_set, top_k, lambda, views, template, strict, "
        "explain, deadline_seconds$"
    )
    with pytest.raises(DuoActError, match=message):
        check_form({"video": VIDEO, "fusion_lambda": "1"})


def test_openapi_shows_types_bounds_and_defaults() -> None:
    form = describe_form()
    shown = {
        name: {key: field[key] for key in field if key != "description"} for name, field in form["properties"].items()
    }
    assert shown == {
        "video": {"type": "string", "format": "binary"},
        "labels": {"type": "string"},
        "label_set": {"type": "string"},
        "top_k": {"type": "integer", "minimum": 1, "default": 5},
        "lambda": {"type": "number", "minimum": 0, "maximum": 1},
        "views": {"type": "string", "default": "1x1"},
        "template": {"type": "string"},
        "strict": {"type": "boolean", "default": False},
        "explain": {"type": "boolean", "default": False},
        "deadline_seconds": {"type": "number", "exclusiveMinimum": 0},
    }
    assert (form["required"], form["additionalProperties"]) == (["video"], False)
    assert "null" not in json.dumps(form)
