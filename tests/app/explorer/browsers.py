"""A real browser, found where the machine has it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

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

    def pixels(self) -> dict[str, str]:
        """What is drawn on every canvas of the page but the examples', by its place among them."""
        script = "all => all.map((canvas, index) => [`${index}`, canvas.toDataURL()])"
        return dict(self.page.locator("main canvas:not(.thumb canvas)").evaluate_all(script))

    def image(self, side: str) -> str:
        """The picture of one of the two images."""
        found: str = (
            self.page.get_by_role("article", name=f"Image {side}").locator("canvas").last.evaluate("c => c.toDataURL()")
        )
        return found

    def mean(self, side: str) -> list[float]:
        """The mean color of one of the two images, red, green and blue."""
        script = """canvas => {
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
          return [0, 1, 2].map((channel) => data.filter((_, index) => index % 4 === channel).reduce((sum, value) => sum + value, 0));
        }"""
        sums = self.page.get_by_role("article", name=f"Image {side}").locator("canvas").evaluate(script)
        return [value / max(1, sum(sums)) for value in sums]

    def values(self) -> dict[str, str]:
        """What every slider shows, by its label."""
        script = "all => all.map((input) => [input.labels[0].textContent, input.getAttribute('aria-valuetext')])"
        return dict(self.page.locator("#sliders input").evaluate_all(script))


def widths(page: Page) -> tuple[int, int]:
    """How wide a page's content is, and how wide its window."""
    script = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    content, window = page.evaluate(script)
    return content, window
