"""Label banks for requests: what they hold, and that each text is encoded once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.contract.errors import EncoderUnavailableError
from service.contract.label_banks import BankKey, StoredLabelBank
from service.contract.labels import Label
from service.contract.languages import LanguagePlan
from service.contract.scoring import LabelBank
from service.encoders.time_limit import TimeLimit
from service.labels.banks import LabelBanks, warn_of_parts
from service.labels.store import LabelStore
from tests.bundles import SHAPES, TEMPLATE_EN, TEMPLATE_ZH, shapes_bank
from tests.encoders import FakeTextEncoder, unit_vector

KEY = BankKey("a" * 64, TEMPLATE_EN, "label", "b" * 64, TEMPLATE_ZH)
BOTH = LanguagePlan(0.5, True)
ENGLISH = LanguagePlan(1.0, True)
LABELS = [Label("running fast", "快跑"), Label("jumping", "跳")]


@asynccontextmanager
async def open_banks(
    english: FakeTextEncoder, chinese: FakeTextEncoder | None = None, **changes: object
) -> AsyncIterator[LabelBanks]:
    options: dict[str, Any] = {"key": KEY, "stored": (), "store": None, "max_bytes": 1 << 20, **changes}
    banks = LabelBanks({"en": english, "zh": chinese or FakeTextEncoder()}, **options)
    await banks.open()
    try:
        yield banks
    finally:
        await banks.close()


async def test_bank_holds_embeddings_in_the_order_of_the_labels() -> None:
    async with open_banks(FakeTextEncoder()) as banks:
        fetched = await banks.fetch(LABELS, plan=BOTH, template=None)
    bank = fetched.bank
    assert bank.english is not None
    assert bank.chinese is not None
    np.testing.assert_array_equal(bank.english, [unit_vector(f"a video of {label.en}") for label in LABELS])
    np.testing.assert_array_equal(bank.chinese, [unit_vector(f"{label.zh}的视频") for label in LABELS])
    words = np.array([unit_vector(word) for word in ("running", "fast", "jumping")], dtype=np.float16)
    np.testing.assert_array_equal(bank.words, words, strict=True)
    np.testing.assert_array_equal(bank.word_counts, [2, 1])
    assert (fetched.num_hits, fetched.num_misses, fetched.read_in_part) == (0, 4, {})


@pytest.mark.parametrize(
    ("plan", "held"),
    [
        (LanguagePlan(1.0, True), {"english", "words", "word_counts"}),
        (LanguagePlan(0.0, True), {"english", "chinese", "words", "word_counts"}),
        (LanguagePlan(0.0, False), {"chinese"}),
        (LanguagePlan(1.0, False), {"english"}),
    ],
)
async def test_bank_holds_what_the_plan_needs(plan: LanguagePlan, held: set[str]) -> None:
    async with open_banks(FakeTextEncoder()) as banks:
        bank = (await banks.fetch(LABELS, plan=plan, template=None)).bank
    assert {name for name, array in vars(bank).items() if array is not None} == held


async def test_concurrent_requests_encode_a_text_once() -> None:
    english = FakeTextEncoder(delay_seconds=0.05)
    overlapping = [*LABELS, Label("flying", "飞")]
    async with open_banks(english) as banks:
        fetches = [banks.fetch(labels, plan=ENGLISH, template=None) for labels in (LABELS, overlapping, LABELS)]
        results = await asyncio.gather(*fetches)
    assert sorted(text for batch in english.batches for text in batch) == ["flying", "jumping", "running fast"]
    assert [len(result.bank) for result in results] == [2, 3, 2]


async def test_encoding_goes_on_for_the_others_when_one_request_is_cancelled() -> None:
    english = FakeTextEncoder(delay_seconds=0.05)
    async with open_banks(english) as banks:
        first = asyncio.create_task(banks.fetch(LABELS, plan=ENGLISH, template=None))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(banks.fetch(LABELS, plan=ENGLISH, template=None))
        await asyncio.sleep(0.01)
        first.cancel()
        assert len((await second).bank) == 2
    assert (len(english.batches), english.num_cancelled) == (1, 0)


async def test_encoding_ends_when_the_last_request_is_cancelled() -> None:
    english = FakeTextEncoder(delay_seconds=0.05)
    async with open_banks(english) as banks:
        waiting = [asyncio.create_task(banks.fetch(LABELS, plan=ENGLISH, template=None)) for _ in range(2)]
        await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(0)
        assert english.num_cancelled == 1
        assert len((await banks.fetch(LABELS, plan=ENGLISH, template=None)).bank) == 2


async def test_failed_encoding_fails_all_who_wait_and_is_tried_again() -> None:
    english = FakeTextEncoder(delay_seconds=0.01, error=EncoderUnavailableError("away"))
    async with open_banks(english) as banks:
        fetches = [banks.fetch(LABELS, plan=ENGLISH, template=None) for _ in range(2)]
        failures = await asyncio.gather(*fetches, return_exceptions=True)
        english.error = None
        assert len((await banks.fetch(LABELS, plan=ENGLISH, template=None)).bank) == 2
    assert [str(failure) for failure in failures] == ["away", "away"]


async def test_misses_are_encoded_in_batches_of_similar_length() -> None:
    english, chinese = FakeTextEncoder(), FakeTextEncoder()
    labels = [Label("x" * (1 + index % 100) + str(index), "中" * (1 + index % 7) + str(index)) for index in range(130)]
    async with open_banks(english, chinese) as banks:
        await banks.fetch(labels, plan=BOTH, template=None)
    assert [len(batch) for batch in english.batches] == [64, 64, 2]
    assert [len(batch) for batch in chinese.batches] == [64, 64, 2]
    lengths = [len(text) for batch in english.batches for text in batch]
    assert lengths == sorted(lengths)


async def test_labels_with_the_same_text_count_and_cost_once() -> None:
    english = FakeTextEncoder()
    async with open_banks(english) as banks:
        fetched = await banks.fetch([Label("run", "跑"), Label("run", "奔跑")], plan=BOTH, template=None)
    assert (len(fetched.bank), fetched.num_misses) == (2, 3)
    assert english.batches == [("run",)]


async def test_memory_is_bounded_and_the_answer_is_not() -> None:
    english = FakeTextEncoder()
    labels = [Label(f"label {index}") for index in range(50)]
    async with open_banks(english, max_bytes=1000) as banks:
        await banks.fetch(labels, plan=ENGLISH, template=None)
        fetched = await banks.fetch(labels, plan=ENGLISH, template=None)
    assert len(fetched.bank) == 50
    assert fetched.num_misses > 40


async def test_list_of_labels_asked_again_is_not_put_together_again() -> None:
    async with open_banks(FakeTextEncoder()) as banks:
        first = await banks.fetch(LABELS, plan=BOTH, template=None)
        second = await banks.fetch(tuple(LABELS), plan=BOTH, template=None)
        other = await banks.fetch(LABELS[::-1], plan=BOTH, template=None)
    assert second.bank is first.bank
    assert (second.num_hits, second.num_misses) == (4, 0)
    assert other.bank is not first.bank


async def test_entry_larger_than_the_memory_is_not_kept() -> None:
    async with open_banks(FakeTextEncoder(), max_bytes=10) as banks:
        assert (await banks.fetch(LABELS, plan=ENGLISH, template=None)).num_misses == 2
        assert (await banks.fetch(LABELS, plan=ENGLISH, template=None)).num_misses == 2


async def test_store_on_disk_answers_before_the_towers(tmp_path: Path) -> None:
    async with open_banks(FakeTextEncoder(), store=LabelStore(tmp_path / "s", max_bytes=1 << 20)) as banks:
        before = await banks.fetch(LABELS, plan=ENGLISH, template=None)
    english = FakeTextEncoder()
    async with open_banks(english, store=LabelStore(tmp_path / "s", max_bytes=1 << 20)) as banks:
        after = await banks.fetch([*LABELS, Label("new")], plan=ENGLISH, template=None)
    assert (after.num_hits, after.num_misses, english.batches) == (2, 1, [("new",)])
    np.testing.assert_array_equal(after.bank.english[:2], before.bank.english)  # type: ignore[index]


async def test_precomputed_banks_answer_for_their_own_key_only() -> None:
    stored = [StoredLabelBank(SHAPES, shapes_bank(), KEY)]
    async with open_banks(FakeTextEncoder(), stored=stored) as banks:
        own = await banks.fetch(SHAPES[:2], plan=BOTH, template=None)
        other = await banks.fetch(SHAPES[:2], plan=BOTH, template="{}")
    async with open_banks(FakeTextEncoder(), stored=stored, key=BankKey("c" * 64, TEMPLATE_EN, "label")) as banks:
        foreign = await banks.fetch(SHAPES[:2], plan=ENGLISH, template=None)
    assert [(bank.num_hits, bank.num_misses) for bank in (own, other, foreign)] == [(4, 0), (2, 2), (0, 2)]


async def test_precomputed_bank_may_lack_a_language() -> None:
    chinese_only = StoredLabelBank((Label(zh="跳"),), LabelBank(chinese=unit_vector("x")[None]), KEY)
    english_only = StoredLabelBank(
        (Label(zh="跑"),),
        LabelBank(english=unit_vector("x")[None], words=unit_vector("y")[None], word_counts=np.array([1])),
        KEY,
    )
    async with open_banks(FakeTextEncoder(), stored=[chinese_only, english_only]) as banks:
        fetched = await banks.fetch([Label(zh="跳"), Label(zh="跑")], plan=LanguagePlan(0.0, False), template=None)
    assert (fetched.num_hits, fetched.num_misses) == (1, 1)


async def test_labels_that_a_tower_reads_in_part_are_named() -> None:
    labels = [Label(f"{'word ' * 50}{index}") for index in range(7)] + [Label("☃ man")]
    async with open_banks(FakeTextEncoder()) as banks:
        parts = (slice(0, 4), slice(4, 8))
        fetched = [part async for part in banks.fetch_parts(labels, parts, plan=ENGLISH, template=None)]
    warnings = warn_of_parts(fetched)
    assert [warning.split(": ")[-1] for warning in warnings] == [
        "too long for the text tower, which read only the beginning",
        "written with characters that the text tower does not know",
    ]
    assert "and 2 more" in warnings[0]


async def test_time_limit_of_a_request_reaches_the_towers() -> None:
    english, chinese = FakeTextEncoder(), FakeTextEncoder()
    limit = TimeLimit.after(7.0)
    async with open_banks(english, chinese) as banks:
        await banks.fetch(LABELS, plan=BOTH, template=None, limit=limit)
    assert (english.limits, chinese.limits) == ([limit], [limit])


async def test_texts_that_two_requests_wait_for_have_the_time_of_the_longer() -> None:
    english = FakeTextEncoder(delay_seconds=0.02)
    labels = [Label(f"running {number}") for number in range(65)]
    short, long = TimeLimit.after(1.0), TimeLimit.after(9.0)
    async with open_banks(english) as banks:
        await asyncio.gather(
            *(banks.fetch(labels, plan=ENGLISH, template=None, limit=limit) for limit in (short, long))
        )
    assert english.limits == [long, long]


@pytest.mark.parametrize("limited_first", [True, False])
async def test_texts_that_somebody_waits_for_without_limit_have_none(limited_first: bool) -> None:
    english = FakeTextEncoder(delay_seconds=0.02)
    limits = [TimeLimit.after(1.0), None] if limited_first else [None, TimeLimit.after(1.0)]
    async with open_banks(english) as banks:
        await asyncio.gather(*(banks.fetch(LABELS, plan=ENGLISH, template=None, limit=limit) for limit in limits))
    assert english.limits == [None]
