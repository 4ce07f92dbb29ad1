import pickle

import pytest

from service.contract import errors
from service.contract.errors import DuoActError, QueueFullError

MESSAGE_ONLY = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, DuoActError) and value is not QueueFullError
]


@pytest.mark.parametrize("kind", MESSAGE_ONLY)
def test_error_survives_pickling(kind: type[DuoActError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("72 frames; at most 64 are allowed")))
    assert type(copy) is kind
    assert str(copy) == "72 frames; at most 64 are allowed"


def test_queue_full_survives_pickling_with_its_delay() -> None:
    copy = pickle.loads(pickle.dumps(QueueFullError("8 of 8 requests are waiting", 2.5)))
    assert str(copy) == "8 of 8 requests are waiting"
    assert copy.retry_after_seconds == 2.5
