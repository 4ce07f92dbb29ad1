"""A circuit rests after a failure, and lets one caller try again."""

from service.labels.circuit import Circuit


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_works_is_always_asked() -> None:
    circuit = Circuit(rest_seconds=5.0)
    circuit.succeed()
    assert [circuit.allows(), circuit.allows(), circuit.is_closed] == [True, True, True]


def test_what_failed_rests_and_is_then_asked_by_one_caller() -> None:
    clock = Clock()
    circuit = Circuit(rest_seconds=5.0, clock=clock)
    circuit.fail()
    assert [circuit.is_closed, circuit.allows()] == [False, False]
    clock.now = 105.0
    assert [circuit.allows(), circuit.allows()] == [True, False]
    clock.now = 110.0
    assert circuit.allows()


def test_success_ends_the_rest_and_another_failure_begins_it_again() -> None:
    clock = Clock()
    circuit = Circuit(rest_seconds=5.0, clock=clock)
    circuit.fail()
    clock.now = 106.0
    circuit.fail()
    clock.now = 110.0
    assert not circuit.allows()
    circuit.succeed()
    assert circuit.allows()
