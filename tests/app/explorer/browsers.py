"""A real browser, found where the machine has it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    "the explorer is tested in Chromium, and none of chromium, chromium-browser, google-chrome is in PATH. "
    "Install it: apt-get install chromium"
)
PATIENCE_MS = 10_000
QUIET_MS, STEP_MS = 500, 50
DESKTOP, PHONE = (1366, 900), (375, 780)


def executable() -> str | None:
    """Where the machine has a browser, if anywhere."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


DRAWN = """all => all.map((canvas) => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.height, canvas.width, Array.from(data, (level) => String.fromCharCode(level)).join("")];
})"""


class Picture:
    """What is drawn on a canvas. Two are the same where no level differs by more than 1 of 255.

    The service may answer a row in its last digit otherwise in a batch of other rows, which can tip a level.

    Args:
        height: The canvas' height, in pixels.
        width: Its width.
        levels: Red, green, blue and opacity of every pixel, a byte each, row by row.
    """

    def __init__(self, height: int, width: int, levels: bytes) -> None:
        """Take what a canvas holds."""
        self.levels = np.frombuffer(levels, np.uint8).astype(np.int16).reshape(height, width, 4)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Picture)
            and self.levels.shape == other.levels.shape
            and bool((np.abs(self.levels - other.levels) <= 1).all())
        )

    __hash__ = None  # type: ignore[assignment]  # What is nearly the same has no key in common.

    def __repr__(self) -> str:
        # Not all levels: pytest compares what it shows of a failure line by line, which takes hours for a picture.
        height, width, _ = self.levels.shape
        return f"<Picture of {height} × {width}, in the mean {self.levels.mean((0, 1)).round(2).tolist()}>"

    def mean(self) -> list[float]:
        """The mean color, red, green and blue, as shares of their sum."""
        sums = self.levels[..., :3].sum((0, 1))
        return list(sums / max(1, sums.sum()))


@contextmanager
def browsing(path: str) -> Iterator[Browser]:
    """A browser without a window. It runs as root too, since it sees nothing but this project's pages."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Visitor:
    """Somebody who looks at a page, and notices what it asks for and what goes wrong.

    Args:
        page: The page.
        address: The service's, with a slash at the end.
    """

    def __init__(self, page: Page, address: str) -> None:
        """Begin to notice."""
        self.page = page
        self.address = address
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self._under_way: set[Request] = set()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)
        page.on("requestfinished", self._answered)
        page.on("requestfailed", self._answered)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(message.text)

    def _answered(self, request: Request) -> None:
        self._under_way.discard(request)

    def _asked(self, request: Request) -> None:
        self._under_way.add(request)
        if urlsplit(request.url).netloc != urlsplit(self.address).netloc:
            self.strangers.append(request.url)

    def open(self, view: str, *, wait: bool = True) -> None:
        """Open the page with a view in its address, and wait until it is all there."""
        self.page.goto(f"{self.address}#{view}")
        if wait:
            self.page.get_by_role("article").first.wait_for()
            self.rest()

    def choose(self, example: str) -> None:
        """Choose an example for the image that is looked at."""
        self.page.get_by_title(example, exact=True).click()

    def rest(self) -> None:
        """Wait until the page has asked for nothing for a while, in which it also writes its address."""
        quiet = 0
        for _ in range(PATIENCE_MS // STEP_MS):
            self.page.wait_for_timeout(STEP_MS)
            quiet = 0 if self._under_way else quiet + STEP_MS
            if quiet >= QUIET_MS:
                return
        raise AssertionError([request.url for request in self._under_way])

    def pixels(self) -> list[Picture]:
        """What is drawn on every canvas of the page but the examples'."""
        return pictures(self.page.locator("main canvas:not(.thumb canvas)"))

    def image(self, side: str) -> Picture:
        """The picture of one of the two images."""
        return pictures(self.page.get_by_role("article", name=f"Image {side}").locator("canvas"))[-1]

    def values(self) -> dict[str, str]:
        """What every slider shows, by its label."""
        script = "all => all.map((input) => [input.labels[0].textContent, input.getAttribute('aria-valuetext')])"
        return dict(self.page.locator("#sliders input").evaluate_all(script))


def pictures(canvases: Locator) -> list[Picture]:
    """What is drawn on canvases."""
    found: list[Any] = canvases.evaluate_all(DRAWN)
    return [Picture(height, width, levels.encode("latin-1")) for height, width, levels in found]


def widths(page: Page) -> tuple[int, int]:
    """How wide a page's content is, and how wide its window."""
    script = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    content, window = page.evaluate(script)
    return content, window
