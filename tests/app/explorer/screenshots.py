"""The README's pictures of the explorer: ``make screenshots`` makes them anew, by the bundled model."""

import sys
from pathlib import Path
from typing import Any

from tests.app.explorer.browsers import MISSING, Visitor, browsing, executable
from tests.app.servers import ROOT, serving

FOLDER = Path(__file__).parent / "screenshots"
VIEW = "model=digits&a=3&b=7&swap=color&set-a=angle.0:0.9&strip=digit.3"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1366, "height": 900}}
PICTURES: dict[str, dict[str, Any]] = {
    "light": {**DESKTOP, "color_scheme": "light"},
    "dark": {**DESKTOP, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 375, "height": 780}, "is_mobile": True, "device_scale_factor": 2},
}


def main() -> None:
    """Make every picture."""
    path = executable()
    if path is None:
        sys.exit(f"Screenshots are made by a browser: {MISSING}")
    FOLDER.mkdir(exist_ok=True)
    # The port that stands in the code on the page is the one that readers will have.
    with serving(ROOT / "models", "--port", "8000") as (_, address, _banner), browsing(path) as browser:
        for name, options in PICTURES.items():
            visitor = Visitor(browser.new_page(**options), f"{address}/")
            visitor.open(VIEW)
            warm_up(visitor)
            visitor.page.screenshot(path=FOLDER / f"{name}.png", full_page=name != "phone")


def warm_up(visitor: Visitor) -> None:
    """Move a slider there and back, so that the times on the page are those of somebody who uses it."""
    slider = visitor.page.get_by_role("slider", name="angle 1", exact=True)
    for key in ("ArrowLeft", "ArrowRight") * 10:
        slider.press(key)
        visitor.page.wait_for_timeout(100)
    slider.press("Delete")
    visitor.rest()
    visitor.page.evaluate("document.activeElement.blur(), scrollTo(0, 0)")


if __name__ == "__main__":
    main()
