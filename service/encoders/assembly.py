"""From the graphs of any engine to the encoders of a bundle: towers, tokenizers and the canary around them."""

from collections.abc import Awaitable, Callable, Mapping

from service.contract.golden import read_golden
from service.contract.graphs import GraphSpec, graph_specs
from service.contract.layout import GOLDEN_NAME, tokenizer_file
from service.contract.manifest import Bundle
from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer
from service.encoders.base import Encoders, Graph
from service.encoders.canary import Canary
from service.encoders.towers import ChineseTextEncoder, EnglishTextEncoder, GraphVideoEncoder


def served_specs(bundle: Bundle) -> tuple[GraphSpec, ...]:
    """The graphs that are asked anything: a Chinese tower that was never trained is not."""
    specs = graph_specs(bundle.manifest)
    return tuple(spec for spec in specs if bundle.manifest.has_chinese or spec.name != "text_encoder_zh")


def assemble_encoders(
    bundle: Bundle,
    *,
    graphs: Mapping[str, Graph],
    close: Callable[[], None],
    check_engine: Callable[[], Awaitable[None]] | None = None,
    num_concurrent: int = 1,
) -> Encoders:
    """Put the encoders of a bundle together.

    Args:
        bundle: the bundle.
        graphs: the engine's graphs, by the names of ``served_specs``.
        close: lets go of the engine.
        check_engine: what the engine has to say before the canary is replayed; raises ``EncoderUnavailableError``.
        num_concurrent: calls of one video at a time.

    Raises:
        BundleError: a tokenizer or the golden vectors cannot be read; the message names the file.
    """
    manifest, directory = bundle.manifest, bundle.directory
    canary = Canary(read_golden(directory / GOLDEN_NAME), specs=served_specs(bundle), graphs=graphs)

    async def check() -> None:
        if check_engine is not None:
            await check_engine()
        await canary.check()

    english = EnglishTokenizer.from_file(directory / tokenizer_file("en"), max_length=manifest.english.max_length)
    chinese = None
    if manifest.chinese is not None and "text_encoder_zh" in graphs:
        tokenizer = ChineseTokenizer.from_file(directory / tokenizer_file("zh"), max_length=manifest.chinese.max_length)
        chinese = ChineseTextEncoder(graphs["text_encoder_zh"], tokenizer=tokenizer)
    return Encoders(
        video=GraphVideoEncoder(graphs["video_encoder"], num_concurrent=num_concurrent),
        english=EnglishTextEncoder(graphs["text_encoder_en"], tokenizer=english, word_set=manifest.scoring.word_set),
        chinese=chinese,
        check=check,
        close=close,
    )
