"""The three towers of a bundle on top of any engine's graphs: views in pieces, texts through the tokenizers."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float32, UInt8

from service.contract.errors import EncoderUnavailableError
from service.contract.manifest import WordSet
from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer
from service.encoders.base import Graph, TextEmbedding
from service.encoders.time_limit import TimeLimit

# Views in one call: bounds memory, and lets a request that is given up stop between two calls.
_CHUNK_VIEWS = 4


class GraphVideoEncoder:
    """A ``video_encoder`` graph.

    Args:
        graph: the graph.
        num_concurrent: calls of one video at a time; more than one is for an engine that runs them as one batch.
    """

    def __init__(self, graph: Graph, *, num_concurrent: int = 1) -> None:
        self._graph = graph
        self._num_concurrent = num_concurrent

    async def encode_video(
        self, views: UInt8[np.ndarray, "V *frames H W 3"], *, limit: TimeLimit | None = None
    ) -> Float32[np.ndarray, "V K D"]:
        """Encode views, a few at a time."""
        slots = asyncio.Semaphore(self._num_concurrent)

        async def encode(chunk: np.ndarray) -> np.ndarray:
            async with slots:
                outputs = await self._graph.run({"frames": chunk}, limit=limit)
            return checked_output(outputs, "frame_features", rank=3, num_rows=len(chunk))

        calls = [asyncio.ensure_future(encode(chunk)) for chunk in _chunks(views)]
        try:
            return np.concatenate(await asyncio.gather(*calls))
        finally:
            for call in calls:
                call.cancel()


class EnglishTextEncoder:
    """A ``text_encoder_en`` graph with its tokenizer; word vectors follow the bundle's word set."""

    def __init__(self, graph: Graph, *, tokenizer: EnglishTokenizer, word_set: WordSet) -> None:
        self._graph = graph
        self._tokenizer = tokenizer
        self._word_set = word_set

    async def encode_texts(
        self, texts: Sequence[str], *, template: str, limit: TimeLimit | None = None
    ) -> tuple[TextEmbedding, ...]:
        """Encode English texts in one call."""
        tokens = self._tokenizer.encode(texts, template=template, word_set=self._word_set)
        inputs = {"token_ids": tokens.token_ids, "eot_index": tokens.eot_index}
        outputs = await self._graph.run(inputs, limit=limit)
        embeddings = checked_output(outputs, "embedding", rank=2, num_rows=len(texts))
        words = checked_output(outputs, "words", rank=3, num_rows=len(texts))
        return tuple(
            TextEmbedding(embeddings[row].copy(), words[row][tokens.is_word[row]], truncated=row in tokens.truncated)
            for row in range(len(texts))
        )


class ChineseTextEncoder:
    """A ``text_encoder_zh`` graph with its tokenizer."""

    def __init__(self, graph: Graph, *, tokenizer: ChineseTokenizer) -> None:
        self._graph = graph
        self._tokenizer = tokenizer

    async def encode_texts(
        self, texts: Sequence[str], *, template: str, limit: TimeLimit | None = None
    ) -> tuple[TextEmbedding, ...]:
        """Encode Chinese texts in one call; they have no word vectors."""
        tokens = self._tokenizer.encode(texts, template=template)
        inputs = {"token_ids": tokens.token_ids, "attention_mask": tokens.attention_mask}
        outputs = await self._graph.run(inputs, limit=limit)
        embeddings = checked_output(outputs, "embedding", rank=2, num_rows=len(texts))
        no_words = np.zeros((0, embeddings.shape[1]), dtype=np.float32)
        return tuple(
            TextEmbedding(
                embeddings[row].copy(), no_words, truncated=row in tokens.truncated, unknown=row in tokens.unknown
            )
            for row in range(len(texts))
        )


def checked_output(
    outputs: Mapping[str, np.ndarray], name: str, *, rank: int, num_rows: int
) -> Float32[np.ndarray, "..."]:
    """Take one output of a graph, sure that it holds finite float32 numbers for every input.

    An engine is not trusted to complain: OpenVINO on one thread answers frames of a wrong size with no rows at all.

    Raises:
        EncoderUnavailableError: the output is absent, has another rank or number of rows, or is not finite.
    """
    if name not in outputs:
        raise EncoderUnavailableError(f"the encoder gave {sorted(outputs)} but no {name!r}; check the model it runs")
    output = np.asarray(outputs[name], dtype=np.float32)
    if output.ndim != rank or len(output) != num_rows:
        raise EncoderUnavailableError(
            f"the encoder's {name!r} has shape {output.shape}; {rank} axes and {num_rows} rows are expected"
        )
    if not np.isfinite(output).all():
        raise EncoderUnavailableError(f"the encoder's {name!r} holds numbers that are not finite")
    return output


def _chunks(views: UInt8[np.ndarray, "V *frames H W 3"]) -> Iterator[np.ndarray]:
    for start in range(0, len(views), _CHUNK_VIEWS):
        yield views[start : start + _CHUNK_VIEWS]
