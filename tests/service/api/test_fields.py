"""Whatever stands in the fields of a form is read, or refused by name: it never fails the service."""

import random

import pytest

from service.api.errors import INTERNAL, kind_of
from service.api.fields import FieldLimits, read_fields, read_question
from service.api.form import RecognizeForm
from service.api.uploads import Form
from service.contract.errors import DuoActError
from service.contract.labels import LabelLimits
from service.labels.sets import LabelSets
from service.recognition.questions import Question, StoredVideo
from tests.conftest import Service

NAMES = [field.alias or name for name, field in RecognizeForm.model_fields.items()] + ["colour"]
PIECES = [
    *("+", "-", "5", "0", "9" * 25, "_", ".", "e", "1e5", "inf", "nan", "1_0", "0x10", "\u0661", "½", "1x1"),
    *(" ", "\t", "\n", "\0", "\x85", "\u2028", "{}", "{", "}", "[", "]", '"', "\\", ",", ":", "null", "true"),
    *("\U0001f600", "跳", "a", "%s", "{0}", "{!r}", '"en"', "\\ud800", "\ufeff", "/*", "//", "'"),
]
LIMITS = FieldLimits(LabelLimits(), 256)


def read(*fields: tuple[str, bytes]) -> Question:
    form = read_fields(Form(StoredVideo(0, "0" * 64), fields), limits=LIMITS)
    return read_question(form, label_sets=LabelSets(bundle={}, builtin={}), limits=LIMITS)


def refusal_of(*fields: tuple[str, bytes]) -> DuoActError | None:
    try:
        read(*fields)
    except DuoActError as error:
        return error
    return None


def draw_text(chance: random.Random) -> str:
    return "".join(chance.choices(PIECES, k=chance.randint(0, 6)))


@pytest.mark.parametrize("name", NAMES)
def test_any_text_is_read_or_refused(name: str) -> None:
    chance = random.Random(name)
    for _ in range(1000):
        fields = [("labels", b'["a"]')] * (name not in ("labels", "label_set"))
        fields += [(name, draw_text(chance).encode())] * chance.choice((1, 1, 1, 2))
        refusal = refusal_of(*fields)
        assert refusal is None or (kind_of(refusal) is not INTERNAL and len(str(refusal)) < 2000), fields


def test_any_bytes_are_read_or_refused() -> None:
    chance = random.Random(0)
    for _ in range(1000):
        field = (chance.choice(NAMES), chance.randbytes(chance.randint(0, 9)))
        refusal = refusal_of(field, ("labels", b'["a"]'))
        assert refusal is None or kind_of(refusal) is not INTERNAL, field


async def test_any_form_is_answered_without_an_internal_error(service: Service) -> None:
    chance = random.Random(0)
    for _ in range(150):
        data = {name: draw_text(chance) for name in chance.sample(NAMES[1:], k=chance.randint(0, 4))}
        files = {"video": ("clip.mp4", b"pixels", "video/mp4")}
        response = await service.client.post("/recognize", files=files, data={"labels": '["a"]'} | data)
        assert response.status_code in (200, 400, 404, 422), data


@pytest.mark.parametrize("name", ["top_k", "lambda", "deadline_seconds", "views", "strict"])
async def test_number_with_two_signs_is_refused(service: Service, name: str) -> None:
    files = {"video": ("clip.mp4", b"pixels", "video/mp4")}
    response = await service.client.post("/recognize", files=files, data={"labels": '["a"]', name: "+-5"})
    assert response.status_code in (400, 422)
    assert response.json()["detail"].startswith(f"{name} is '+-5'")
