"""The page in a real browser: what it sends, what it draws, and how it behaves when things go wrong."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.web.answers import HOSTILE, problem, recognition
from tests.web.stub import Stub

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _recognise(page: Page, clip: Path, *, labels: str = "moving left, 跳") -> None:
    await page.set_input_files("#video", clip)
    await page.fill("#labels", labels)
    await page.click("#recognise")


async def test_sends_video_labels_and_options_as_the_api_names_them(page: Page, stub: Stub, clip: Path) -> None:
    await _recognise(page, clip, labels="moving left, 跳\n向右移动 = moving right")
    await page.wait_for_selector(".prediction")
    labels = '["moving left","跳",{"en":"moving right","zh":"向右移动"}]'
    fields = [("labels", labels), ("views", "1x1"), ("top_k", "5"), ("explain", "true"), ("video", clip.read_bytes())]
    assert stub.received == [fields]


async def test_sends_a_stored_set_and_the_chosen_options(page: Page, stub: Stub, clip: Path) -> None:
    await page.check("input[value=set]")
    await page.select_option("#label-set", "ucf101")
    await page.click("#options summary")
    await page.fill("#lambda", "0.25")
    await page.select_option("#views", "4x3")
    await page.fill("#top-k", "7")
    await page.set_input_files("#video", clip)
    await page.click("#recognise")
    await page.wait_for_selector(".prediction")
    expected = {"label_set": "ucf101", "lambda": "0.25", "views": "4x3", "top_k": "7", "explain": "true"}
    assert dict(stub.received[0][:-1]) == expected


async def test_default_balance_is_the_bundles_and_is_not_sent(page: Page, stub: Stub, clip: Path) -> None:
    await page.click("#options summary")
    await page.fill("#lambda", "1")
    await page.click("#lambda-reset")
    await expect(page.locator("#lambda-value")).to_have_text("0.50 for English (default)")
    await _recognise(page, clip)
    await page.wait_for_selector(".prediction")
    assert "lambda" not in dict(stub.received[0])


async def test_bundle_without_chinese_fixes_the_balance(page: Page, stub: Stub) -> None:
    stub.manifest = stub.manifest | {"chinese": None, "scoring": {"fusion": {"value": 1.0}}}
    await page.reload()
    await expect(page.locator("#lambda")).to_be_disabled()
    await expect(page.locator("#bundle-line")).to_have_text("demo · dual_semantic · tiny · 4 frames · English")


@pytest.mark.parametrize(
    ("language", "rows"),
    [
        (
            "en",
            [
                ["1", "moving left", "向左移动", "93.0 %", "English 0.312", "Chinese 0.302"],
                ["2", HOSTILE, "7.0 %", "English 0.312", "Chinese 0.302"],
                ["3", "跳", "< 0.1 %", "English –", "Chinese 0.302"],
            ],
        ),
        (
            "zh",
            [
                ["1", "向左移动", "moving left", "93.0 %", "英文 0.312", "中文 0.302"],
                ["2", HOSTILE, "7.0 %", "英文 0.312", "中文 0.302"],
                ["3", "跳", "< 0.1 %", "英文 –", "中文 0.302"],
            ],
        ),
    ],
)
async def test_ranks_labels_in_the_pages_language(page: Page, clip: Path, language: str, rows: list[list[str]]) -> None:
    await _recognise(page, clip)
    await page.wait_for_selector(".prediction")
    await page.click(f"[data-language={language}]")
    texts = """buttons => buttons.map(button => [...button.querySelectorAll("span")]
        .filter(span => !span.children.length && span.innerText).map(span => span.innerText))"""
    assert await page.eval_on_selector_all(".prediction", texts) == rows


async def test_labels_are_never_markup(page: Page, clip: Path) -> None:
    await _recognise(page, clip, labels="<img src>, jump")
    await expect(page.locator(".label-first >> nth=1")).to_have_text(HOSTILE)
    assert await page.locator(".prediction img, #chips img").count() == 0
    assert await page.evaluate("window.wasHacked") is None


async def test_each_prediction_shows_its_own_frame_weights(page: Page, clip: Path) -> None:
    await _recognise(page, clip)
    facts = page.locator(".frame-facts span:last-child")
    await expect(facts).to_have_text(["10.0 %", "20.0 %", "30.0 %", "40.0 %"])
    await page.click(".prediction >> nth=1")
    await expect(facts).to_have_text(["70.0 %", "10.0 %", "10.0 %", "10.0 %"])
    await expect(page.locator(".prediction >> nth=1")).to_be_focused()


async def test_averaged_frames_are_said_to_be_so(page: Page, stub: Stub, clip: Path) -> None:
    predictions = [{**recognition()["predictions"][0], "frame_weights": [0.25] * 4}]
    stub.answer = recognition(predictions=predictions)
    await _recognise(page, clip)
    await expect(page.locator(".frame")).to_have_count(4)
    await expect(page.locator(".frame-top")).to_have_count(0)
    await expect(page.get_by_text("The frames are averaged: each weighs the same for every label")).to_be_visible()


async def test_clicking_a_frame_shows_its_time_in_the_player(page: Page, clip: Path) -> None:
    await _recognise(page, clip)
    await page.click(".frame >> nth=2")
    await page.wait_for_function("document.getElementById('player').currentTime === 1")


async def test_only_inline_pictures_are_loaded(page: Page, stub: Stub, clip: Path) -> None:
    frame = {"index": 5, "time_seconds": 0.2, "weight": 1.0, "thumbnail": "http://elsewhere.invalid/x.png"}
    predictions = [{**recognition()["predictions"][0], "frame_weights": None}]
    stub.answer = recognition(frames=[frame], predictions=predictions)
    await _recognise(page, clip)
    await expect(page.locator(".frame")).to_have_text("#50.20 s100.0 %")


async def test_warnings_degradation_timings_and_facts_are_shown(page: Page, stub: Stub, clip: Path) -> None:
    timings = {"decode": 31.0, "encode": 262.0, "total": 400.0}
    stub.answer = recognition(degraded=True, warnings=["the file ends early"], timings_ms=timings)
    await _recognise(page, clip)
    notices = ["Part of this video could not be read; the answer rests on the rest.", "Note: the file ends early"]
    await expect(page.locator("#answer .notice")).to_have_text(notices)
    await expect(page.locator(".legend li")).to_have_text(["Decode 31 ms", "Encode 262 ms", "Other 107 ms"])
    await expect(page.locator(".facts")).to_have_text("h264 · 96 x 96 · 1.60 s · λ 0.50 · Request r-1")


@pytest.mark.parametrize(
    ("place", "document"),
    [
        ("#labels-error", problem(422, detail="two labels are the same", field="labels")),
        ("#video-error", problem(413, detail="the video is too large")),
        ("#video-error", problem(415, detail="not a video", field="video")),
        ("#lambda-error", problem(422, detail="lambda is 0.5", field="lambda")),
        ("#form-error", problem(500, detail="")),
    ],
)
async def test_a_problem_stands_beside_the_field_at_fault(
    page: Page, stub: Stub, clip: Path, place: str, document: dict[str, Any]
) -> None:
    stub.answer, stub.status = document, document["status"]
    await _recognise(page, clip)
    await expect(page.locator(place)).to_have_text(f"{document['detail'] or 'Refused'} (Request r-2)")
    assert await page.locator(".error:visible").count() == 1


async def test_a_full_queue_says_when_to_try_again(page: Page, stub: Stub, clip: Path) -> None:
    stub.answer, stub.status, stub.headers = problem(429, detail="busy."), 429, {"Retry-After": "3"}
    await _recognise(page, clip)
    await expect(page.locator("#form-error")).to_have_text("busy. Try again in 3 s. (Request r-2)")


async def test_a_broken_connection_is_told(page: Page, clip: Path) -> None:
    await page.route("**/recognize", lambda route: route.abort())
    await _recognise(page, clip)
    message = "The connection broke. The service may be away, or it refused the video for its size."
    await expect(page.locator("#form-error")).to_have_text(message)
    await expect(page.locator("#recognise")).to_be_enabled()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("", "Type at least one label."),
        ("run, jump, RUN", "“RUN” is given twice, at 1 and 3: remove one."),
        ("run = corre", "“run = corre” is not a pair: give one English and one Chinese text around “=”."),
    ],
)
async def test_labels_that_cannot_work_are_refused_before_upload(
    page: Page, stub: Stub, clip: Path, labels: str, message: str
) -> None:
    await _recognise(page, clip, labels=labels)
    await expect(page.locator("#labels-error")).to_have_text(message)
    await expect(page.locator("#labels")).to_be_focused()
    assert stub.received == []


async def test_a_missing_video_is_the_first_thing_asked_for(page: Page) -> None:
    await page.click("#recognise")
    await expect(page.locator("#video-error")).to_have_text("Choose a video first.")
    await expect(page.locator("#video")).to_be_focused()


async def test_cancel_ends_the_request(page: Page, stub: Stub, clip: Path) -> None:
    stub.is_held = True
    await _recognise(page, clip)
    await expect(page.locator("#status")).to_have_text("Recognising…")
    await page.click("#cancel")
    await expect(page.locator("#status")).to_have_text("Cancelled.")
    await stub.is_disconnected.wait()
    await expect(page.locator("#recognise")).to_be_enabled()
    await expect(page.locator("#recognise")).to_be_focused()


async def test_another_video_ends_the_request_for_the_old_one(page: Page, stub: Stub, clip: Path) -> None:
    stub.is_held = True
    await _recognise(page, clip)
    await expect(page.locator("#status")).to_have_text("Recognising…")
    await page.set_input_files("#video", {"name": "other.mp4", "mimeType": "video/mp4", "buffer": b""})
    await stub.is_disconnected.wait()
    await expect(page.locator("#status")).to_have_text("Cancelled.")


async def test_another_video_takes_the_old_answer_away(page: Page, clip: Path) -> None:
    await _recognise(page, clip)
    await page.wait_for_selector(".prediction")
    await page.set_input_files("#video", {"name": "other.mp4", "mimeType": "video/mp4", "buffer": b""})
    await expect(page.locator(".prediction")).to_have_count(0)


async def test_dropping_a_file_chooses_it(page: Page) -> None:
    await page.evaluate("""() => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(["not a video"], "dropped.mp4"));
        document.getElementById("drop-zone").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
    }""")
    await expect(page.locator("#video-name")).to_contain_text(
        "dropped.mp4 · 0.0 kB · The browser cannot play this file"
    )


async def test_curl_command_quotes_labels_and_file_name(page: Page, tmp_path: Path, clip: Path) -> None:
    copy = tmp_path / 'it\'s "a", b;.mp4'
    copy.write_bytes(clip.read_bytes())
    await page.set_input_files("#video", copy)
    await page.fill("#labels", "it's;type\n@etc\n跳")
    await page.click("#copy-curl")
    labels = '["it\'s;type","@etc","跳"]'
    command = (await page.locator("#curl").inner_text()).replace("\\\n", "")
    assert shlex.split(command) == [
        "curl", "-F", 'video=@"it\'s \\"a\\", b;.mp4"', "--form-string", f"labels={labels}",
        "--form-string", "views=1x1", "--form-string", "top_k=5", f"{page.url}recognize",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", []),
        (" run ,\n\n jump ", [{"en": "run"}, {"en": "jump"}]),
        ("跑,跳、打 ball", [{"zh": "跑"}, {"zh": "跳"}, {"zh": "打 ball"}]),
        ("run = 跑\n跳＝jump", [{"en": "run", "zh": "跑"}, {"en": "jump", "zh": "跳"}]),
    ],
)
async def test_labels_are_read_as_typed(page: Page, text: str, labels: list[dict[str, str]]) -> None:
    parsed = await page.evaluate("async text => (await import('/static/labels.js')).parseLabels(text)", text)
    assert parsed == {"labels": labels, "problem": None}


async def test_many_labels_are_counted_and_not_all_drawn(page: Page) -> None:
    # Set at once, because typing ten thousand lines into a text area takes Chromium half a minute.
    await page.eval_on_selector(
        "#labels",
        """area => {
        area.value = Array.from({ length: 10000 }, (_, index) => `label ${index}`).join("\\n");
        area.dispatchEvent(new Event("input"));
    }""",
    )
    await expect(page.locator("#labels-count")).to_have_text("Labels: 10000")
    await expect(page.locator("#chips li")).to_have_count(61)
    await expect(page.locator("#chips li").last).to_have_text("and 9940 more")


async def test_language_is_remembered(page: Page) -> None:
    await page.click("[data-language=zh]")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("lang", "zh")
    await expect(page.locator("#recognise")).to_have_text("识别")
    await expect(page.locator("[data-language=zh]")).to_have_attribute("aria-pressed", "true")


async def test_both_languages_say_the_same(page: Page) -> None:
    messages = await page.evaluate("async () => (await import('/static/i18n.js')).MESSAGES")
    placeholders = {
        language: {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in texts.items()}
        for language, texts in messages.items()
    }
    assert placeholders["en"] == placeholders["zh"]
    used = await page.eval_on_selector_all("[data-i18n]", "nodes => nodes.map(node => node.dataset.i18n)")
    assert set(used) <= set(messages["en"])


async def test_nothing_overflows_a_narrow_screen(page: Page, clip: Path) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.click("#options summary")
    await _recognise(page, clip, labels=f"{'x' * 200}, 跳")
    await page.wait_for_selector(".prediction")
    await page.click("#copy-curl")
    assert await page.evaluate("document.documentElement.scrollWidth") == 360


async def test_works_from_the_keyboard_alone(page: Page, stub: Stub, clip: Path) -> None:
    await page.set_input_files("#video", clip)
    await page.focus("#labels")
    await page.keyboard.type("jump")
    for _ in range(2):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".prediction")
    assert json.loads(str(dict(stub.received[0])["labels"])) == ["jump"]


async def test_every_control_has_a_name(page: Page, clip: Path) -> None:
    await _recognise(page, clip)
    await page.wait_for_selector(".prediction")
    tree = await page.locator("body").aria_snapshot()
    assert not re.findall(
        r"- (?:button|textbox|slider|combobox|spinbutton|radio|link)(?: \[.*\])?:?$", tree, re.MULTILINE
    )


async def test_closed_vocabulary_needs_no_labels_and_compares_no_text(page: Page, stub: Stub, clip: Path) -> None:
    classes = [{"en": "moving left", "zh": "向左移动"}, {"en": "growing", "zh": None}]
    stub.manifest = stub.manifest | {"vocabulary": "closed", "classes": classes}
    predictions = [
        {"rank": 1, "label": classes[0], "probability": 0.75, "score": 2.5, "similarity_en": None,
         "similarity_zh": None, "frame_weights": [0.25] * 4}
    ]  # fmt: skip
    stub.answer = recognition(fusion=None, predictions=predictions)
    await page.reload()
    await expect(page.locator("#bundle-line")).to_contain_text("closed vocabulary of 2 classes")
    await expect(page.locator("#bundle-facts")).to_contain_text("moving left, growing")
    await expect(page.locator("#labels-hint")).to_contain_text("leave this empty for all of them")
    await expect(page.locator("#lambda")).to_be_disabled()
    await _recognise(page, clip, labels="")
    await expect(page.locator(".prediction")).to_have_text("1moving left向左移动75.0 %")
    assert [name for name, _ in stub.received[0]] == ["views", "top_k", "explain", "video"]
    await page.click("[data-language=zh]")
    await expect(page.locator("#labels-hint")).to_contain_text("留空表示全部")
