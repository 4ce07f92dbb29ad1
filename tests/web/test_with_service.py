"""The page in front of the real application, with the fake engine inside: both sides speak the same language."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.conftest import RunService
from tests.web.browser import open_page
from tests.web.stub import serve

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_recognises_typed_labels(browser: Browser, run_service: RunService, clip: Path) -> None:
    async with run_service() as service, serve(service.app) as address, open_page(browser, address) as page:
        await page.set_input_files("#video", clip)
        await page.fill("#labels", "moving left, jump = 跳")
        await page.click("#recognise")
        await expect(page.locator(".label-texts")).to_have_count(2)
        texts = await page.locator(".label-texts").all_inner_texts()
        assert sorted(text.split("\n") for text in texts) == [["jump", "跳"], ["moving left", "向左移动"]]
        await expect(page.locator(".frame img")).to_have_count(4)


async def test_recognises_a_stored_set_and_tells_what_the_scores_rest_on(
    browser: Browser, run_service: RunService, clip: Path
) -> None:
    async with run_service() as service, serve(service.app) as address, open_page(browser, address) as page:
        await page.set_input_files("#video", clip)
        await page.check("input[value=set]")
        await page.select_option("#label-set", "shapes")
        await page.click("#recognise")
        await expect(page.locator(".prediction")).to_have_count(3)
        warning = "Note: no Chinese text for 'growing': the whole request is scored in English alone"
        await expect(page.locator("#answer .notice")).to_have_text([warning])


@pytest.mark.parametrize(
    ("setting", "place", "message"),
    [
        ({"max_labels": 1}, "#labels-error", "2 labels were given; at most 1 are allowed in one request"),
        ({"max_upload_bytes": 100}, "#video-error", "at most 100 bytes of video are accepted"),
    ],
)
async def test_a_refusal_stands_beside_its_field(
    browser: Browser, run_service: RunService, clip: Path, setting: dict[str, int], place: str, message: str
) -> None:
    async with run_service(**setting) as service, serve(service.app) as address, open_page(browser, address) as page:
        await page.set_input_files("#video", clip)
        await page.fill("#labels", "run, jump")
        await page.click("#recognise")
        await expect(page.locator(place)).to_contain_text(message)


async def test_asks_for_an_api_key_and_uses_it(browser: Browser, run_service: RunService, clip: Path) -> None:
    async with (
        run_service(api_keys=["secret"]) as service,
        serve(service.app) as address,
        open_page(browser, address) as page,
    ):
        message = "no API key was given; send the header 'Authorization: Bearer <key>'"
        await expect(page.locator("#api-key-error")).to_contain_text(message)
        await page.set_input_files("#video", clip)
        await page.fill("#labels", "run, jump")
        await page.fill("#api-key", "secret")
        await page.click("#recognise")
        await expect(page.locator(".prediction")).to_have_count(2)
        await expect(page.locator("#bundle-line")).to_contain_text("fake · dual_semantic")
        await page.click("#copy-curl")
        await expect(page.locator("#curl")).to_contain_text('-H "Authorization: Bearer $API_KEY"')
