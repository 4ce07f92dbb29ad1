"""The composition root: from settings to a recogniser, and from that to the HTTP application."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from fastapi import Depends, FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from service.api.access import AcceptedKeys
from service.api.admission import Admission
from service.api.context import RequestContext
from service.api.dependencies import Gateway, GatewayLimits, require_api_key
from service.api.errors import install_error_handlers
from service.api.fields import FieldLimits
from service.api.rates import Rates
from service.api.routes import label_sets, operations, recognize
from service.api.spool import Spool
from service.api.uploads import FormLimits
from service.contract.decode import DecodeLimits
from service.contract.label_banks import BankKey, StoredLabelBank, read_label_bank
from service.contract.labels import LabelLimits, Language, load_builtin_label_tables
from service.contract.layout import label_bank_file
from service.contract.manifest import Bundle, open_bundle
from service.contract.views import ViewRules
from service.decoding.pool import DecodePool
from service.encoders.base import Encoders, TextEncoder
from service.labels.banks import LabelBanks
from service.labels.sets import LabelSets
from service.labels.shared import SharedLabels
from service.labels.store import LabelStore
from service.recognition.answering import Answering
from service.recognition.guarded import guard_encoders
from service.recognition.probe import Probe
from service.recognition.readiness import Readiness
from service.recognition.recognizer import Recognizer, VideoReader
from service.recognition.scorers import build_scorer
from service.recognition.scoring_pool import ScoringPool
from service.recognition.video_cache import VideoCache
from service.settings import Settings, SettingsError
from service.telemetry.metrics import Metrics

_logger = structlog.get_logger(__name__)
_WEB = Path(__file__).parent / "web"


@dataclass(frozen=True)
class Parts:
    """What answers questions, apart from any interface, and what it is made of, which must be started and closed."""

    settings: Settings
    answering: Answering
    encoders: Encoders
    encoder_probe: Probe
    reader: VideoReader
    label_banks: LabelBanks

    async def close(self) -> None:
        """Write what is pending of the labels, and let go of threads, workers and engine."""
        self.answering.scoring.close()
        await self.label_banks.close()
        self.reader.close()
        self.encoders.close()


def load_encoders(bundle: Bundle, settings: Settings) -> Encoders:
    """Load the encoders of a bundle into the engine that the settings choose.

    Raises:
        BundleError: a file of the bundle cannot be used.
        SettingsError: the engine is not installed.
    """
    # The engine is imported where it is chosen, so that the others cost nothing.
    if settings.triton is not None:
        return _load_triton_encoders(bundle, settings, address=settings.triton)
    from service.encoders.embedded import EngineOptions, load_embedded_encoders

    cache_dir = None if settings.cache_dir is None else settings.cache_dir / "openvino"
    options = EngineOptions(
        precision=settings.encoder_precision, num_threads=settings.encoder_threads, cache_dir=cache_dir
    )
    return load_embedded_encoders(bundle, options=options)


def _load_triton_encoders(bundle: Bundle, settings: Settings, *, address: str) -> Encoders:
    try:
        from service.encoders.triton.connection import TlsFiles
        from service.encoders.triton.engine import TritonOptions, load_triton_encoders
    except ImportError as error:
        raise SettingsError(
            f"DUOACT_TRITON is {address!r}, but the client of Triton is not installed ({error}); "
            "pip install 'duoact[triton]'"
        ) from error
    files = (settings.triton_root_certificates, settings.triton_certificate_chain, settings.triton_private_key)
    options = TritonOptions(
        address=address,
        timeout_seconds=settings.triton_timeout_seconds,
        model_version=settings.triton_model_version.replace("latest", ""),
        precision="bf16" if settings.encoder_precision == "bf16" else "f32",
        shared_memory=settings.triton_shared_memory,
        tls=TlsFiles(*files) if settings.triton_tls or any(files) else None,
    )
    return load_triton_encoders(bundle, options=options)


def load_parts(settings: Settings) -> Parts:
    """Verify and load the bundle that the settings name, with the engine and the decoding workers that they ask for.

    Raises:
        BundleError: the manifest or a file of the bundle cannot be believed or read; the message names it.
    """
    bundle = open_bundle(settings.bundle)
    sections = bundle.manifest.sections
    _logger.info("bundle opened", name=bundle.manifest.name, lacks=sections.lacking, not_understood=sections.unknown)
    encoders = load_encoders(bundle, settings)
    reader = DecodePool(find_rules(settings, bundle=bundle), num_workers=settings.workers)
    return build_parts(settings, bundle=bundle, encoders=encoders, reader=reader)


def find_rules(settings: Settings, *, bundle: Bundle) -> ViewRules:
    """How any video is read: as the bundle was trained to see it, within the limits of the settings."""
    limits = DecodeLimits(
        max_pixels=settings.max_pixels,
        max_duration_seconds=settings.max_duration_seconds,
        max_frames=settings.max_frames,
        max_decoded_frames=settings.max_decoded_frames,
    )
    return ViewRules(bundle.manifest.preprocessing, bundle.manifest.sampling, limits)


def build_parts(settings: Settings, *, bundle: Bundle, encoders: Encoders, reader: VideoReader) -> Parts:
    """Put a recogniser together.

    Raises:
        BundleError: a stored label bank cannot be read.
        SettingsError: the address of Redis is none, or its client is not installed.
    """
    probe = Probe("encoder", encoders.check, period_seconds=settings.canary_period_seconds)
    encoders = guard_encoders(encoders, probe=probe)
    stored = _read_label_banks(bundle)
    label_set_registry = LabelSets(
        bundle={name: bank.labels for name, bank in stored.items()}, builtin=load_builtin_label_tables()
    )
    label_banks = _build_label_banks(settings, bundle=bundle, encoders=encoders, stored=stored)
    pool = ScoringPool(num_threads=settings.max_concurrent_requests)
    recognizer = Recognizer(
        bundle,
        reader=reader,
        encoder=encoders.video,
        require_encoder=probe.require,
        scorer=build_scorer(
            bundle.manifest, label_banks=label_banks, dictionary=label_set_registry.dictionary, pool=pool
        ),
        pool=pool,
        video_cache=VideoCache(max_bytes=settings.video_cache_bytes),
        max_views=settings.max_views,
    )
    answering = Answering(bundle, recognizer, label_set_registry, pool)
    return Parts(settings, answering, encoders, probe, reader, label_banks)


def build_app(parts: Parts) -> FastAPI:
    """Build the HTTP application around a recogniser; starting it starts the workers and replays the canary."""
    gateway = build_gateway(parts)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        guards, _opened = await asyncio.gather(asyncio.to_thread(parts.reader.start), parts.label_banks.open())
        _logger.info("decoding started", guards=asdict(guards))
        await gateway.readiness.start()
        try:
            yield
        finally:
            await gateway.readiness.close()
            await parts.close()

    app = FastAPI(
        title="DuoAct", summary="Open-vocabulary video action recognition, English and Chinese", lifespan=lifespan
    )
    app.state.gateway = gateway
    app.add_middleware(RequestContext, metrics=gateway.metrics)
    install_error_handlers(app)
    _add_routes(app)
    return app


def build_gateway(parts: Parts) -> Gateway:
    """Put together what the routes use."""
    settings = parts.settings
    spool = Spool(settings.upload_dir or Path(tempfile.gettempdir()), max_bytes=settings.upload_quota_bytes)
    labels = LabelLimits(num_labels=settings.max_labels, num_characters=settings.max_label_characters)
    gateway = Gateway(
        answering=parts.answering,
        readiness=Readiness(
            (
                parts.encoder_probe,
                Probe("decoding", parts.reader.check, period_seconds=settings.canary_period_seconds),
                Probe("uploads", spool.check, period_seconds=settings.canary_period_seconds),
            ),
            period_seconds=settings.canary_period_seconds,
        ),
        rates=Rates(settings.client_requests_per_minute),
        admission=Admission(
            num_slots=settings.max_concurrent_requests,
            queue_length=settings.max_queue_length,
            num_uploads=settings.max_uploads,
            num_per_client=settings.client_concurrent_requests,
        ),
        spool=spool,
        metrics=Metrics(),
        limits=GatewayLimits(
            form=FormLimits(settings.max_upload_bytes, settings.max_field_bytes, settings.max_labels),
            fields=FieldLimits(labels, settings.max_template_characters),
            deadline_seconds=settings.deadline_seconds,
        ),
        api_keys=AcceptedKeys.of(settings.read_api_keys()),
    )
    _watch_gauges(gateway)
    gateway.metrics.watch_counts(
        "decoding_workers_ended", description="Decoding workers that ended, by cause.", counts=parts.reader.deaths
    )
    gateway.metrics.watch(
        "decoding_filtered",
        description="1 where decoding workers run under their filter of system calls.",
        value=lambda: float((guards := parts.reader.guards) is not None and guards.filters_system_calls),
    )
    if parts.label_banks.shared is not None:
        _watch_shared_labels(parts.label_banks.shared, gateway.metrics)
    return gateway


def _add_routes(app: FastAPI) -> None:
    guarded = [Depends(require_api_key)]
    app.include_router(recognize.router, dependencies=guarded)
    app.include_router(label_sets.router, dependencies=guarded)
    app.include_router(operations.router)
    app.mount("/static", StaticFiles(directory=_WEB), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_WEB / "index.html")


def _watch_gauges(gateway: Gateway) -> None:
    admission, metrics = gateway.admission, gateway.metrics
    metrics.watch("requests_working", description="Recognitions that hold a slot.", value=lambda: admission.num_working)
    metrics.watch(
        "requests_waiting",
        description="Recognitions that wait for a slot.",
        value=lambda: admission.num_waiting,
    )
    metrics.watch(
        "requests_uploading", description="Recognitions whose body arrives.", value=lambda: admission.num_uploading
    )
    metrics.watch(
        "ready", description="1 where the service is ready.", value=lambda: float(not gateway.readiness.missing())
    )


def _watch_shared_labels(shared: SharedLabels, metrics: Metrics) -> None:
    metrics.watch(
        "shared_labels_up",
        description="1 where the store that gateways share answered the last time.",
        value=lambda: float(shared.is_up),
    )
    metrics.watch_counts("shared_label_lookups", description="Label embeddings asked for.", counts=shared.lookups)
    metrics.watch_counts("shared_label_writes", description="Label embeddings to store.", counts=shared.writes)


def _read_label_banks(bundle: Bundle) -> dict[str, StoredLabelBank]:
    return {name: read_label_bank(bundle.directory / label_bank_file(name)) for name in bundle.manifest.label_sets}


def _build_label_banks(
    settings: Settings, *, bundle: Bundle, encoders: Encoders, stored: dict[str, StoredLabelBank]
) -> LabelBanks:
    towers: dict[Language, TextEncoder] = {"en": encoders.english}
    if encoders.chinese is not None:
        towers["zh"] = encoders.chinese
    store = None
    if settings.cache_dir is not None:
        store = LabelStore(settings.cache_dir / "labels.sqlite", max_bytes=settings.label_store_bytes)
    return LabelBanks(
        towers,
        key=BankKey.of(bundle.manifest),
        stored=stored.values(),
        store=store,
        max_bytes=settings.label_cache_bytes,
        shared=_open_shared_labels(settings, dimension=bundle.manifest.joint_dimension),
    )


def _open_shared_labels(settings: Settings, *, dimension: int) -> SharedLabels | None:
    if settings.redis_url is None:
        return None
    try:
        # Imported here, since a gateway alone needs no client of Redis.
        from service.labels.redis import RedisLabels, RedisOptions
    except ImportError as error:
        raise SettingsError(
            f"DUOACT_REDIS_URL is set, but the client of Redis is not installed ({error}); pip install 'duoact[redis]'"
        ) from error
    options = RedisOptions(
        timeout_seconds=settings.redis_timeout_seconds,
        request_seconds=settings.redis_request_seconds,
        rest_seconds=settings.redis_rest_seconds,
        lifetime_seconds=settings.redis_lifetime_seconds,
    )
    try:
        return RedisLabels(settings.redis_url.get_secret_value(), dimension=dimension, options=options)
    except ValueError as error:
        raise SettingsError(f"DUOACT_REDIS_URL: {error}") from error
