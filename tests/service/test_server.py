"""Where the server listens."""

import pytest

from service.server import open_socket, render_url


@pytest.mark.parametrize(("host", "url"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")])
def test_free_port_is_found_and_shown(host: str, url: str) -> None:
    with open_socket(host, 0) as listening:
        assert render_url(listening) == f"{url}{listening.getsockname()[1]}"
