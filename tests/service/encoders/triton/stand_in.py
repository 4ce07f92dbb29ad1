"""A gRPC server that speaks Triton's protocol in this process: what it answers, and how it fails, is up to the test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

from service.contract.graphs import GraphSpec, TensorSpec, graph_specs
from service.contract.manifest import Bundle
from tests.tiny_graphs import golden_vectors

_DATATYPES = {"uint8": "UINT8", "int32": "INT32", "float32": "FP32"}


@dataclass
class TritonStandIn(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Serves a bundle's graphs by giving the golden answers, whatever is asked.

    ``error`` makes every inference fail, ``outputs`` replaces single outputs, ``shapes`` single shapes in the metadata;
    ``requests`` holds what was asked and ``remaining_seconds`` how long each asker would wait.
    """

    specs: dict[str, GraphSpec]
    error: tuple[grpc.StatusCode, str] | None = None
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    shapes: dict[str, list[int]] = field(default_factory=dict)
    versions: tuple[str, ...] = ("1",)
    is_ready: bool = True
    delay_seconds: float = 0.0
    requests: list[service_pb2.ModelInferRequest] = field(default_factory=list)
    remaining_seconds: list[float] = field(default_factory=list)
    num_cancelled: int = 0
    regions: dict[str, tuple[str, int]] = field(default_factory=dict)
    memory_refusal: tuple[grpc.StatusCode, str] | None = None

    async def ServerReady(  # noqa: N802
        self,
        request: service_pb2.ServerReadyRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> service_pb2.ServerReadyResponse:
        """Whether the server is ready."""
        return service_pb2.ServerReadyResponse(ready=self.is_ready)

    async def ModelReady(  # noqa: N802
        self,
        request: service_pb2.ModelReadyRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> service_pb2.ModelReadyResponse:
        """Whether a model is ready in a version."""
        return service_pb2.ModelReadyResponse(ready=self.is_ready and request.version in ("", *self.versions))

    async def ModelMetadata(  # noqa: N802
        self,
        request: service_pb2.ModelMetadataRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> service_pb2.ModelMetadataResponse:
        """Names, dtypes and shapes of a model."""
        spec = self.specs[request.name]
        return service_pb2.ModelMetadataResponse(
            name=spec.name,
            versions=self.versions,
            inputs=list(self._describe(spec.inputs)),
            outputs=list(self._describe(spec.outputs)),
        )

    async def ModelInfer(  # noqa: N802
        self, request: service_pb2.ModelInferRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelInferResponse:
        """Give the golden answer, or fail."""
        self.requests.append(request)
        self.remaining_seconds.append(context.time_remaining())
        try:
            await asyncio.sleep(self.delay_seconds)
        except asyncio.CancelledError:
            self.num_cancelled += 1
            raise
        if self.error is not None:
            await context.abort(*self.error)
        golden = {**golden_vectors(), **self.outputs}
        suffix = "_zh" if request.model_name == "text_encoder_zh" else ""
        arrays = {tensor.name: golden[tensor.name + suffix] for tensor in self.specs[request.model_name].outputs}
        return service_pb2.ModelInferResponse(
            outputs=[{"name": name, "datatype": "FP32", "shape": array.shape} for name, array in arrays.items()],
            raw_output_contents=[array.tobytes() for array in arrays.values()],
        )

    async def SystemSharedMemoryRegister(  # noqa: N802
        self, request: service_pb2.SystemSharedMemoryRegisterRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.SystemSharedMemoryRegisterResponse:
        """Note a region, or refuse it."""
        if self.memory_refusal is not None:
            await context.abort(*self.memory_refusal)
        if request.name in self.regions:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "shared memory region is registered")
        self.regions[request.name] = (request.key, request.byte_size)
        return service_pb2.SystemSharedMemoryRegisterResponse()

    async def SystemSharedMemoryStatus(  # noqa: N802
        self,
        request: service_pb2.SystemSharedMemoryStatusRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> service_pb2.SystemSharedMemoryStatusResponse:
        """All regions."""
        return service_pb2.SystemSharedMemoryStatusResponse(regions={name: {"name": name} for name in self.regions})

    async def SystemSharedMemoryUnregister(  # noqa: N802
        self,
        request: service_pb2.SystemSharedMemoryUnregisterRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> service_pb2.SystemSharedMemoryUnregisterResponse:
        """Let go of a region."""
        self.regions.pop(request.name, None)
        return service_pb2.SystemSharedMemoryUnregisterResponse()

    def _describe(self, tensors: tuple[TensorSpec, ...]) -> Iterator[dict[str, object]]:
        for tensor in tensors:
            shape = self.shapes.get(tensor.name, [axis if isinstance(axis, int) else -1 for axis in tensor.axes])
            yield {"name": tensor.name, "datatype": _DATATYPES[tensor.dtype], "shape": shape}


@asynccontextmanager
async def serve_stand_in(bundle: Bundle) -> AsyncIterator[tuple[TritonStandIn, str]]:
    """Serve a stand-in on a free port, and give it with its address."""
    stand_in = TritonStandIn({spec.name: spec for spec in graph_specs(bundle.manifest)})
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(stand_in, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield stand_in, f"127.0.0.1:{port}"
    finally:
        await server.stop(grace=None)
