"""How the browser is started, and a page opened in it whose complaints fail the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page, expect

TIMEOUT_MS = 30_000
# Waiting costs nothing where all is well, and a busy machine is slow to start a page.
expect.set_options(timeout=TIMEOUT_MS)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def open_page(browser: Browser, address: str) -> AsyncIterator[Page]:
    """Open an address; fails where a script broke, the policy was violated, or another host was asked."""
    complaints: list[str] = []
    async with await browser.new_context(locale="en-GB") as context:
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if _is_complaint(message.text) else None)
        page.on("request", lambda request: None if _is_own(request.url, address) else complaints.append(request.url))
        await page.goto(address)
        yield page
    assert complaints == []


def _is_complaint(text: str) -> bool:
    return "Content Security Policy" in text or "Refused to" in text


def _is_own(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:"))
