"""The Triton engine: graphs that run on an inference server, over one gRPC channel with binary tensors.

Every call has a deadline, is cancelled on the server with the request that made it, and carries the request's id.
"""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from service.contract.errors import DeadlineExceededError, EncoderUnavailableError
from service.contract.graphs import GraphSpec, find_format
from service.contract.layout import GraphFormat
from service.contract.manifest import Bundle
from service.contract.precision import Precision
from service.encoders.assembly import assemble_encoders, served_specs
from service.encoders.base import Encoders
from service.encoders.time_limit import TimeLimit
from service.encoders.triton.agreement import check_agreement
from service.encoders.triton.connection import TlsFiles, TritonConnection
from service.encoders.triton.failures import TritonCall, translate_failure
from service.encoders.triton.memory import SharedViews, is_forgotten

_logger = structlog.get_logger(__name__)
# Calls of four views each: as many views as the server puts into one execution, unless it is told otherwise.
_NUM_CONCURRENT = 4


@dataclass(frozen=True)
class TritonOptions:
    """How a Triton server is asked.

    Args:
        address: ``host:port`` of its gRPC endpoint.
        timeout_seconds: the longest that a call may take; a request's own deadline shortens it.
        model_version: the version of every model that is asked for; empty leaves the choice to the server.
        precision: the arithmetic that the server's configuration asks for, and so the canary's tolerance.
        tls: the files of an encrypted connection, or None for a plain one.
        shared_memory: whether views reach a server on this machine through shared memory.
    """

    address: str
    timeout_seconds: float = 30.0
    model_version: str = "1"
    precision: Precision = "f32"
    tls: TlsFiles | None = None
    shared_memory: bool = False


class TritonGraph:
    """One model on a Triton server."""

    def __init__(
        self,
        spec: GraphSpec,
        *,
        connection: TritonConnection,
        graph_format: GraphFormat,
        options: TritonOptions,
        memory: SharedViews | None = None,
    ) -> None:
        self.precision: Precision = options.precision if spec.name == "video_encoder" else "f32"
        self._spec = spec
        self._connection = connection
        self._format: GraphFormat = graph_format
        self._wire_names = spec.wire_names(graph_format)
        self._options = options
        self._memory = memory

    async def run(
        self, inputs: Mapping[str, np.ndarray], *, limit: TimeLimit | None = None
    ) -> Mapping[str, np.ndarray]:
        """Run the graph once, within the time that the request leaves.

        Raises:
            EncoderUnavailableError: the server does not answer, or answers wrongly.
            QueueFullError: the server's queue is full.
            DeadlineExceededError: the request's time was used up first.
        """
        call = self._limit(limit)
        try:
            return self._from_wire(await self._infer(inputs, call=call))
        except InferenceServerException as error:
            self._record(error)
            raise translate_failure(error, call=call) from error

    async def replay(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Run the graph once; the server's queue has one order for all."""
        return await self.run(inputs)

    async def check(self) -> None:
        """Compare the server's model with the bundle's graph.

        Raises:
            EncoderUnavailableError: the model is absent, not ready, or another one.
        """
        call = self._limit(None)
        try:
            await check_agreement(
                self._connection,
                spec=self._spec,
                graph_format=self._format,
                version=self._options.model_version,
                timeout_seconds=call.limit_seconds,
            )
        except InferenceServerException as error:
            self._record(error)
            raise translate_failure(error, call=call) from error

    def _limit(self, limit: TimeLimit | None) -> TritonCall:
        """Fix how long a call may take."""
        most = self._options.timeout_seconds
        if limit is None or (left := limit.remaining_seconds) >= most:
            return TritonCall(self._spec.name, most)
        call = TritonCall(self._spec.name, left, by_deadline=True)
        if left == 0.0:
            raise DeadlineExceededError(f"the deadline passed before {call.model} was asked; allow more time")
        return call

    async def _infer(self, inputs: Mapping[str, np.ndarray], *, call: TritonCall) -> InferResult:
        if self._memory is None:
            return await self._send([self._to_wire(name, array) for name, array in inputs.items()], call=call)
        try:
            return await self._send_shared(inputs, memory=self._memory, call=call)
        except InferenceServerException as error:
            if not is_forgotten(error):
                raise
            self._memory.forget()
            return await self._send_shared(inputs, memory=self._memory, call=call)

    async def _send_shared(
        self, inputs: Mapping[str, np.ndarray], *, memory: SharedViews, call: TritonCall
    ) -> InferResult:
        async with AsyncExitStack() as stack:
            tensors = []
            for name, array in inputs.items():
                lending = memory.lend(array, timeout_seconds=call.limit_seconds)
                tensors.append(self._to_wire(name, array, region=await stack.enter_async_context(lending)))
            return await self._send(tensors, call=call)

    async def _send(self, tensors: Sequence[InferInput], *, call: TritonCall) -> InferResult:
        return await self._connection.client.infer(
            self._spec.name,
            tensors,
            model_version=self._options.model_version,
            outputs=[InferRequestedOutput(self._wire_names[tensor.name]) for tensor in self._spec.outputs],
            request_id=str(structlog.contextvars.get_contextvars().get("request_id", "")),
            timeout=int(call.limit_seconds * 1e6),
            client_timeout=call.limit_seconds,
        )

    def _to_wire(self, name: str, array: np.ndarray, *, region: str | None = None) -> InferInput:
        tensor = InferInput(self._wire_names[name], list(array.shape), np_to_triton_dtype(array.dtype))
        if region is not None:
            return tensor.set_shared_memory(region, array.nbytes)
        return tensor.set_data_from_numpy(array)

    def _from_wire(self, result: InferResult) -> dict[str, np.ndarray]:
        try:
            arrays: dict[str, Any] = {
                tensor.name: result.as_numpy(self._wire_names[tensor.name]) for tensor in self._spec.outputs
            }
        except ValueError as error:
            raise EncoderUnavailableError(
                f"Triton's answer for {self._spec.name} cannot be read: {error}; check the model it runs"
            ) from error
        return {name: array for name, array in arrays.items() if array is not None}

    def _record(self, error: InferenceServerException) -> None:
        _logger.warning(
            "triton call failed",
            model=self._spec.name,
            address=self._connection.address,
            status=error.status(),
            message=error.message(),
        )


def load_triton_encoders(bundle: Bundle, *, options: TritonOptions) -> Encoders:
    """Build encoders that ask a Triton server; nothing is asked before the first check.

    The bundle's folder gives tokenizers and golden vectors, the server runs the graphs.

    Raises:
        BundleError: a tokenizer or the golden vectors cannot be read; the message names the file.
    """
    connection = TritonConnection(options.address, tls=options.tls)
    memory = SharedViews(connection) if options.shared_memory else None
    graph_format = find_format(bundle.manifest)
    graphs = {
        spec.name: TritonGraph(spec, connection=connection, graph_format=graph_format, options=options, memory=memory)
        for spec in served_specs(bundle)
    }

    async def check() -> None:
        for graph in graphs.values():
            await graph.check()

    def close() -> None:
        connection.close()
        if memory is not None:
            memory.close()

    _logger.info("encoder chosen", engine="triton", address=options.address, graphs=sorted(graphs))
    return assemble_encoders(bundle, graphs=graphs, close=close, check_engine=check, num_concurrent=_NUM_CONCURRENT)
