"""Workers without the filter of system calls serve this machine alone."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from service.server import check_exposure
from service.settings import SettingsError
from tests.encoders import GUARDED

UNFILTERED = replace(GUARDED, filters_system_calls=False, problems=("no filter of system calls: no libseccomp",))


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "127.0.0.1"])
def test_filtered_workers_serve_every_address(address: str) -> None:
    with capture_logs() as logs:
        check_exposure(GUARDED, address=address)
    assert logs == []


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7"])
def test_others_are_not_served_without_the_filter(address: str) -> None:
    with pytest.raises(
        SettingsError, match=f"would listen on {address}, .*no libseccomp.*: install libseccomp .*--host"
    ):
        check_exposure(UNFILTERED, address=address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_is_served_with_a_warning(address: str) -> None:
    with capture_logs() as logs:
        check_exposure(UNFILTERED, address=address)
    assert [(each["log_level"], each["lacking"]) for each in logs] == [("warning", UNFILTERED.problems[0])]
