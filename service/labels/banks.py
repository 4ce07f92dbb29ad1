"""Label banks for requests: a bounded memory cache over stores on disk and in common with other gateways.

What none of them has is encoded, one encoding at a time of each text. Words are remembered in half precision: most of
an embedding are its words, and rankings stay the same.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from cachetools import LRUCache

from service.contract.label_banks import BankKey, StoredLabelBank
from service.contract.labels import Label, Language
from service.contract.languages import LanguagePlan
from service.contract.scoring import LabelBank
from service.contract.wording import list_some, shorten
from service.encoders.base import TextEmbedding, TextEncoder
from service.encoders.time_limit import TimeLimit, latest
from service.labels.allowance import Allowance
from service.labels.disk import DiskLabels
from service.labels.entries import TextKey
from service.labels.shared import SharedLabels
from service.labels.store import LabelStore

_BATCH_TEXTS = 64
_FAULTS = {
    "truncated": "too long for the text tower, which read only the beginning",
    "unknown": "written with characters that the text tower does not know",
}

Entries = dict[TextKey, TextEmbedding]


@dataclass(frozen=True)
class FetchedBank:
    """A label bank, how many of its texts were known, and which labels a tower read only in part, by sentence."""

    bank: LabelBank
    num_hits: int
    num_misses: int
    read_in_part: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def num_bytes(self) -> int:
        """Memory held by the bank's arrays."""
        return sum(array.nbytes for array in vars(self.bank).values() if array is not None)


def warn_of_parts(fetched: Iterable[FetchedBank]) -> tuple[str, ...]:
    """Say which labels of a request's banks a tower read only in part."""
    named: dict[str, list[str]] = {}
    for bank in fetched:
        for sentence, labels in bank.read_in_part.items():
            named.setdefault(sentence, []).extend(labels)
    return tuple(f"{list_some(labels, render=shorten)}: {sentence}" for sentence, labels in named.items())


class _BankRequest(NamedTuple):
    """All that a fetched bank depends on."""

    labels: tuple[Label, ...]
    languages: tuple[Language, ...]
    weigh_words: bool
    template: str | None


class _Flight:
    """An encoding under way, with the time of whoever waits longest; cancelled when the last who waits goes away."""

    def __init__(self, encode: Callable[["_Flight"], Coroutine[Any, Any, Entries]], *, limit: TimeLimit | None) -> None:
        self.limit = limit
        self.num_waiting = 0
        self.task = asyncio.create_task(encode(self))


class LabelBanks:
    """Embeds label texts, each once: memory, then disk, then what gateways share, then the text towers."""

    def __init__(
        self,
        towers: Mapping[Language, TextEncoder],
        *,
        key: BankKey,
        stored: Iterable[StoredLabelBank],
        store: LabelStore | None,
        max_bytes: int,
        shared: SharedLabels | None = None,
    ) -> None:
        self._towers = towers
        self._key = key
        # Beside the memory and not in it: what the bundle brings is never pushed out.
        self._precomputed = {k: v for bank in stored if bank.key == key for k, v in _entries_of(bank)}
        # Half the memory for texts, half for whole banks: the next video is mostly asked about the same labels.
        self._memory: LRUCache[TextKey, TextEmbedding] = LRUCache(max_bytes // 2, lambda entry: entry.num_bytes)
        self._fetched: LRUCache[_BankRequest, FetchedBank] = LRUCache(max_bytes // 2, lambda bank: bank.num_bytes)
        self._disk = None if store is None else DiskLabels(store)
        self.shared = shared
        self._sharing: set[asyncio.Task[None]] = set()
        self._flights: dict[TextKey, _Flight] = {}

    async def open(self) -> None:
        """Open the store on disk."""
        if self._disk is not None:
            await self._disk.open()

    async def close(self) -> None:
        """Close the stores after what is being written."""
        if self.shared is not None:
            await asyncio.gather(*self._sharing)
            await self.shared.close()
        if self._disk is not None:
            await self._disk.close()

    async def fetch(
        self, labels: Sequence[Label], *, plan: LanguagePlan, template: str | None, limit: TimeLimit | None = None
    ) -> FetchedBank:
        """Assemble the bank that a plan needs for labels; see ``fetch_parts``."""
        whole = [slice(0, len(labels))]
        [bank] = [bank async for bank in self.fetch_parts(labels, whole, plan=plan, template=template, limit=limit)]
        return bank

    async def fetch_parts(
        self,
        labels: Sequence[Label],
        parts: Iterable[slice],
        *,
        plan: LanguagePlan,
        template: str | None,
        limit: TimeLimit | None = None,
    ) -> AsyncGenerator[FetchedBank, None]:
        """Assemble the banks that a plan needs for parts of a request's labels, one when the one before has been used.

        Args:
            labels: the request's labels, with a text in every language of the plan.
            parts: which labels make a bank.
            plan: which languages are scored, and whether English words weigh the frames.
            template: an English prompt template in place of the bundle's, or None.
            limit: how long the request waits for texts that must be encoded.

        Raises:
            DeadlineExceededError: the time limit passed first.
            EncoderUnavailableError: a text tower does not answer.
        """
        allowance = None if self.shared is None else self.shared.allow()
        # Chinese scored alone takes the weights of the English words of its labels too.
        needs_english = plan.weigh_words and "en" not in plan.languages
        languages: tuple[Language, ...] = ("en", *plan.languages) if needs_english else plan.languages
        for part in parts:
            asked = _BankRequest(tuple(labels[part]), languages, plan.weigh_words, template)
            yield await self._fetch_known(asked, limit=limit, allowance=allowance)

    async def _fetch_known(
        self, asked: _BankRequest, *, limit: TimeLimit | None, allowance: Allowance | None
    ) -> FetchedBank:
        known: FetchedBank | None = self._fetched.get(asked)
        if known is not None:
            return replace(known, num_hits=known.num_hits + known.num_misses, num_misses=0)
        fetched = await self._fetch(asked, limit=limit, allowance=allowance)
        # The cache raises an error at a value larger than itself.
        if fetched.num_bytes <= self._fetched.maxsize:
            self._fetched[asked] = fetched
        return fetched

    async def _fetch(self, asked: _BankRequest, *, limit: TimeLimit | None, allowance: Allowance | None) -> FetchedBank:
        keys = {
            language: [self._text_key(label, language=language, template=asked.template) for label in asked.labels]
            for language in asked.languages
        }
        wanted = list(dict.fromkeys(key for column in keys.values() for key in column))
        entries, num_misses = await self._find(wanted, limit=limit, allowance=allowance)
        columns = {language: [entries[key] for key in column] for language, column in keys.items()}
        return FetchedBank(
            # In a thread: thousands of labels have megabytes of words.
            bank=await asyncio.to_thread(_assemble, columns, weigh_words=asked.weigh_words),
            num_hits=len(wanted) - num_misses,
            num_misses=num_misses,
            read_in_part=_find_faults(asked.labels, columns),
        )

    def _text_key(self, label: Label, *, language: Language, template: str | None) -> TextKey:
        text = label.text(language) or ""
        if language == "en":
            return TextKey("en", self._key.english_digest, template or self._key.template_en, self._key.word_set, text)
        return TextKey("zh", self._key.chinese_digest or "", self._key.template_zh or "", "", text)

    async def _find(
        self, keys: Sequence[TextKey], *, limit: TimeLimit | None, allowance: Allowance | None
    ) -> tuple[Entries, int]:
        """Find entries, and how many of them no cache had."""
        found = {key: entry for key in keys if (entry := self._remembered(key)) is not None}
        missing = [key for key in keys if key not in found]
        if missing and self._disk is not None:
            on_disk = await self._disk.read(missing)
            self._remember(on_disk)
            found |= on_disk
            missing = [key for key in missing if key not in found]
        if missing and self.shared is not None and allowance is not None:
            elsewhere = await self.shared.read(missing, allowance=allowance)
            self._keep(elsewhere)
            found |= elsewhere
            missing = [key for key in missing if key not in found]
        # Another request may have brought some of them home in the meantime.
        found |= {key: entry for key in missing if (entry := self._remembered(key)) is not None}
        absent = [key for key in missing if key not in found]
        flights = self._join_flights(absent, limit=limit)
        try:
            for flight in flights:
                # The flight belongs to all who wait for it: one who goes away must not take it down.
                landed = await asyncio.shield(flight.task)
                found |= {key: landed[key] for key in absent if key in landed}
        finally:
            self._leave(flights)
        return found, len(absent)

    def _remembered(self, key: TextKey) -> TextEmbedding | None:
        entry: TextEmbedding | None = self._precomputed.get(key) or self._memory.get(key)
        return entry

    def _remember(self, entries: Entries) -> None:
        for key, entry in entries.items():
            if entry.num_bytes <= self._memory.maxsize:
                self._memory[key] = entry

    def _keep(self, entries: Entries) -> None:
        """Remember entries here, in memory and on disk."""
        self._remember(entries)
        if entries and self._disk is not None:
            self._disk.write(entries)

    def _join_flights(self, keys: Sequence[TextKey], *, limit: TimeLimit | None) -> list[_Flight]:
        """The flights that bring keys: those under way, and one new flight for the keys that none brings yet."""
        # By identity: one flight brings several keys, and is waited for once.
        flights = {id(flight): flight for key in keys if (flight := self._flights.get(key)) is not None}
        if grounded := [key for key in keys if key not in self._flights]:
            flight = _Flight(partial(self._encode, grounded), limit=limit)
            self._flights.update(dict.fromkeys(grounded, flight))
            flights[id(flight)] = flight
        for flight in flights.values():
            flight.num_waiting += 1
            flight.limit = latest(flight.limit, limit)
        return list(flights.values())

    def _leave(self, flights: Sequence[_Flight]) -> None:
        """Stop waiting for flights; those that nobody waits for any more end."""
        for flight in flights:
            flight.num_waiting -= 1
            if flight.num_waiting == 0:
                # One that has landed takes no notice.
                flight.task.cancel()
                self._flights = {key: other for key, other in self._flights.items() if other is not flight}

    async def _encode(self, keys: Sequence[TextKey], flight: _Flight) -> Entries:
        entries: Entries = {}
        for batch in _batches(keys):
            texts = [key.text for key in batch]
            tower = self._towers[batch[0].language]
            encoded = await tower.encode_texts(texts, template=batch[0].template, limit=flight.limit)
            landed = dict(zip(batch, map(_halve_words, encoded), strict=True))
            # After each batch: an encoding that runs out of time leaves its beginning to those who ask again.
            self._keep(landed)
            entries |= landed
            if self.shared is not None:
                # No request waits for it; the event loop alone would not keep the task alive.
                sharing = asyncio.create_task(self.shared.write(landed))
                self._sharing.add(sharing)
                sharing.add_done_callback(self._sharing.discard)
        return entries


def _entries_of(stored: StoredLabelBank) -> Iterable[tuple[TextKey, TextEmbedding]]:
    """Cut a bank into the embeddings of its texts; a label that lacks a language has a row of zeros there."""
    key, bank = stored.key, stored.bank
    if bank.english is not None and bank.words is not None and bank.word_counts is not None:
        words = np.split(bank.words, np.cumsum(bank.word_counts)[:-1])
        for label, embedding, own_words in zip(stored.labels, bank.english, words, strict=True):
            if label.en is not None:
                text_key = TextKey("en", key.english_digest, key.template_en, key.word_set, label.en)
                yield text_key, _halve_words(TextEmbedding(embedding, own_words))
    if bank.chinese is not None:
        for label, embedding in zip(stored.labels, bank.chinese, strict=True):
            if label.zh is not None:
                text_key = TextKey("zh", key.chinese_digest or "", key.template_zh or "", "", label.zh)
                # No words, but an array as wide as any: the stores read an entry's width off it.
                yield text_key, _halve_words(TextEmbedding(embedding, bank.chinese[:0]))


def _batches(keys: Sequence[TextKey]) -> Iterable[Sequence[TextKey]]:
    """Cut keys into batches of one language and of similar length, so that little is spent on padding."""
    for language in sorted({key.language for key in keys}):
        own = sorted((key for key in keys if key.language == language), key=lambda key: len(key.text))
        yield from (own[start : start + _BATCH_TEXTS] for start in range(0, len(own), _BATCH_TEXTS))


def _assemble(columns: Mapping[Language, Sequence[TextEmbedding]], *, weigh_words: bool) -> LabelBank:
    stacked = {language: np.stack([entry.embedding for entry in entries]) for language, entries in columns.items()}
    words = [entry.words for entry in columns["en"]] if weigh_words else None
    return LabelBank(
        english=stacked.get("en"),
        chinese=stacked.get("zh"),
        words=None if words is None else np.concatenate(words),
        word_counts=None if words is None else np.array([len(own) for own in words]),
    )


def _halve_words(entry: TextEmbedding) -> TextEmbedding:
    """Round words to half precision, wherever they come from, so that an answer does not depend on it."""
    return replace(entry, words=entry.words.astype(np.float16))


def _find_faults(
    labels: Sequence[Label], columns: Mapping[Language, Sequence[TextEmbedding]]
) -> Mapping[str, tuple[str, ...]]:
    """Name the labels that a tower read only in part, by what is wrong with them."""
    faults: dict[str, tuple[str, ...]] = {}
    for entries in columns.values():
        for flag, sentence in _FAULTS.items():
            named = [str(label) for label, entry in zip(labels, entries, strict=True) if getattr(entry, flag)]
            if named:
                faults[sentence] = tuple(dict.fromkeys((*faults.get(sentence, ()), *named)))
    return faults
