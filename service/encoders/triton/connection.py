"""The one gRPC channel to a Triton server: address, TLS, and settings under which it recovers at once."""

from dataclasses import dataclass
from pathlib import Path

from tritonclient.grpc.aio import InferenceServerClient

from service.contract.errors import EncoderUnavailableError

_MAX_MESSAGE_BYTES = 2**31 - 1
# A server that was started again is found within a quarter of a second; gRPC's default waits up to two minutes.
# A server that vanished without a word is noticed by pings, while calls are under way and no oftener than a server of
# default settings tolerates. Views are for the engine alone: they pass no proxy that the environment names. Of a name
# with several addresses each is a server, and calls go to them in turn.
_CHANNEL_ARGUMENTS = (
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.lb_policy_name", "round_robin"),
)


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of an encrypted connection.

    Without ``root_certificates`` the system's are trusted; ``certificate_chain`` and ``private_key`` prove who asks,
    where the server wants to know.
    """

    root_certificates: Path | None = None
    certificate_chain: Path | None = None
    private_key: Path | None = None


class TritonConnection:
    """A channel that opens with the first call, in the event loop that makes it, and serves all calls of a process.

    Args:
        address: ``host:port`` of the server's gRPC endpoint.
        tls: the files of an encrypted connection, or None for a plain one.
    """

    def __init__(self, address: str, *, tls: TlsFiles | None = None) -> None:
        self.address = address
        self._tls = tls
        self._client: InferenceServerClient | None = None
        self._is_closed = False

    @property
    def client(self) -> InferenceServerClient:
        """The client.

        Raises:
            EncoderUnavailableError: a PEM file cannot be read, or the connection was closed.
        """
        if self._is_closed:
            raise EncoderUnavailableError("the connection to Triton was closed; the service is shutting down")
        if self._client is None:
            self._client = self._open()
        return self._client

    def close(self) -> None:
        """Let go of the channel, which ends with its last reference; calls after that are refused."""
        self._is_closed = True
        self._client = None

    def _open(self) -> InferenceServerClient:
        tls = self._tls or TlsFiles()
        try:
            return InferenceServerClient(
                self.address,
                ssl=self._tls is not None,
                root_certificates=tls.root_certificates,
                certificate_chain=tls.certificate_chain,
                private_key=tls.private_key,
                channel_args=_CHANNEL_ARGUMENTS,
            )
        except OSError as error:
            raise EncoderUnavailableError(
                f"{error.filename} cannot be read: {error.strerror}; the connection to Triton needs it"
            ) from error
