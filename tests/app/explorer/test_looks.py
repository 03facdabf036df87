"""How the page looks, and how it reads to who does not see it."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.app.explorer.browsers import DESKTOP, PHONE, Visitor, widths
from tests.app.explorer.conftest import Visit

PAPER = "getComputedStyle(document.body).backgroundColor"


def brightness(visitor: Visitor) -> float:
    """How bright the page is, from 0 to 255."""
    channels = visitor.page.evaluate(f"{PAPER}.match(/\\d+/g).map(Number)")
    return float(sum(channels[:3]) / 3)


def test_it_is_light_or_dark(visit: Visit) -> None:
    """The page is as the system is, until a button says otherwise; then it stays so."""
    assert brightness(visit(color_scheme="light")) > 200
    visitor = visit("model=coded", color_scheme="dark")
    assert brightness(visitor) < 60
    dark = visitor.pixels()
    visitor.page.get_by_role("button", name="Light theme").click()
    assert brightness(visitor) > 200
    assert visitor.pixels() != dark
    visitor.page.reload()
    assert brightness(visitor) > 200


@pytest.mark.parametrize("model", ["digits", "coded"])
def test_it_fits_a_phone(visit: Visit, model: str) -> None:
    """On a phone nothing is wider than the screen, with everything open."""
    visitor = visit(f"model={model}&set-a=residual.1:1", size=PHONE, has_touch=True, is_mobile=True)
    visitor.page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    content, window = widths(visitor.page)
    assert content <= window == PHONE[0]
    small = visitor.page.locator("#sliders input:visible").first.bounding_box()
    assert small
    assert small["width"] > 120


def test_nothing_moves_for_who_wants_that(visit: Visit) -> None:
    """With reduced motion, nothing on the page is animated."""
    durations = "[...document.querySelectorAll('*')].map((each) => getComputedStyle(each).transitionDuration)"
    assert "0.15s" in str(visit().page.evaluate(durations))
    assert set(visit(reduced_motion="reduce").page.evaluate(durations)) == {"0s"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
@pytest.mark.parametrize("model", ["digits", "plain"])
def test_it_is_accessible(visit: Visit, scheme: str, size: tuple[int, int], model: str) -> None:
    """Axe finds nothing wrong, with everything open and something moved."""
    visitor = visit(f"model={model}&swap=color&set-a=digit.1:0.4,code.1:1", size=size, color_scheme=scheme)
    visitor.page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    results = Axe().run(visitor.page)
    assert results.violations_count == 0, results.generate_report()
