"""A headless Chromium, the page in it, and the stub behind the page."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.videos import write_numbered_video
from tests.web.answers import MANIFEST, recognition
from tests.web.browser import ARGUMENTS, open_page
from tests.web.stub import Stub, build_stub_app, serve


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        reason = "no chromium on the PATH: apt-get install chromium"
        if os.environ.get("TESTS_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def stub() -> Stub:
    return Stub(answer=recognition(), manifest=MANIFEST)


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, stub: Stub) -> AsyncIterator[Page]:
    """The page in front of the stub, loaded."""
    async with serve(build_stub_app(stub)) as address, open_page(browser, address) as page:
        await page.wait_for_selector("#bundle-line:not(:empty)")
        yield page


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbered_video(tmp_path_factory.mktemp("web") / "clip.mp4", num_frames=40)
