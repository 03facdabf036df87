"""Moving and swapping factors in a browser."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.app.explorer.browsers import Visitor
from tests.app.explorer.conftest import Visit


def slider(visitor: Visitor, name: str) -> Locator:
    """The slider of a dimension."""
    return visitor.page.get_by_role("slider", name=name, exact=True)


def chip(visitor: Visitor, side: str, name: str) -> Locator:
    """The chip of a factor on the card of an image."""
    return visitor.page.get_by_role("article", name=f"Image {side}").get_by_role("button", name=f"{name}: swap with")


def drag(visitor: Visitor, source: Locator, target: Locator) -> None:
    """Drag the middle of something onto that of something else, by mouse."""
    for locator, act in ((source, visitor.page.mouse.down), (target, visitor.page.mouse.up)):
        box = locator.bounding_box()
        assert box
        visitor.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=6)
        act()
    visitor.rest()


def test_a_slider_is_dragged(visit: Visit) -> None:
    """Dragged by mouse, a slider changes the image that it belongs to, no other, and the address."""
    visitor = visit()
    before = {side: visitor.image(side) for side in "AB"}
    box = slider(visitor, "angle 1").bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    visitor.page.mouse.move(box["x"] + box["width"] / 2, middle)
    visitor.page.mouse.down()
    visitor.page.mouse.move(box["x"] + box["width"] * 0.9, middle, steps=10)
    visitor.page.mouse.up()
    visitor.rest()
    assert visitor.image("A") != before["A"]
    assert visitor.image("B") == before["B"]
    assert re.search(r"set-a=angle\.1:1\.\d+", visitor.page.url)
    figures = visitor.page.get_by_role("article", name="Image A").get_by_role("definition")
    assert re.fullmatch(r"−\d+\.\d → −\d+\.\d", figures.first.inner_text())
    assert re.fullmatch(r"\d\.\de−\d", figures.last.inner_text())


SLOW = """() => {
  const [own, underWay] = [fetch, {}];
  window.most = {};
  window.fetch = async (address, options) => {
    const name = address.pathname.split("/").at(-1) + (options.body?.match(/"axes":\\[[^\\]]*\\]/) ?? "");
    underWay[name] = (underWay[name] ?? 0) + 1;
    most[name] = Math.max(most[name] ?? 0, underWay[name]);
    await new Promise((go) => setTimeout(go, 150));
    return own(address, options).finally(() => (underWay[name] -= 1));
  };
}"""
"""Makes the way to the service a slow one, and counts how many requests of a kind are on it at once."""


def test_one_request_is_under_way_and_the_last_one_counts(visit: Visit) -> None:
    """Each view has one request at a time, and in the end shows what the slider says, however slow the service is."""
    visitor = visit()
    visitor.page.evaluate(SLOW)
    slider(visitor, "digit 3").focus()
    for _ in range(40):
        visitor.page.keyboard.press("ArrowRight")
    visitor.rest()
    most = visitor.page.evaluate("most")
    assert len(most) == 3, most  # The images, the strip and the grid.
    assert set(most.values()) == {1}
    moved = visitor.image("A")
    visitor.page.reload()
    visitor.rest()
    assert visitor.image("A") == moved


def test_a_color_is_swapped_by_dragging(visit: Visit) -> None:
    """A chip that is dropped on the other image swaps that factor: both have each other's color then."""
    visitor = visit("model=digits&a=3&b=7")
    before = {side: visitor.image(side).mean() for side in "AB"}
    drag(visitor, chip(visitor, "B", "color"), visitor.page.get_by_role("article", name="Image A").locator("canvas"))
    after = {side: visitor.image(side).mean() for side in "AB"}
    for own, other in ("AB", "BA"):
        assert after[own] == pytest.approx(before[other], abs=0.12)
        assert after[own] != pytest.approx(before[own], abs=0.12)
    assert "swap=color" in visitor.page.url


def test_a_chip_that_is_dropped_elsewhere_does_nothing(visit: Visit) -> None:
    """Dropped on its own card, beside both, or given up by Escape, a chip swaps nothing."""
    visitor = visit()
    before = visitor.pixels()
    own = visitor.page.get_by_role("article", name="Image A").locator("canvas")
    drag(visitor, chip(visitor, "A", "color"), own)
    drag(visitor, chip(visitor, "A", "color"), visitor.page.get_by_role("heading", name="gyoza"))
    box = chip(visitor, "A", "color").bounding_box()
    assert box
    visitor.page.mouse.move(box["x"] + 9, box["y"] + 9)
    visitor.page.mouse.down()
    visitor.page.mouse.move(box["x"] + 300, box["y"] - 60, steps=5)
    visitor.page.keyboard.press("Escape")
    visitor.page.mouse.up()
    visitor.rest()
    assert visitor.pixels() == before
    assert "swap" not in visitor.page.url


def test_a_color_is_swapped_by_keyboard(visit: Visit) -> None:
    """A pressed chip does what a dragged one does; pressed again, everything is as before."""
    visitor = visit()
    before = {side: visitor.image(side) for side in "AB"}
    drag(visitor, chip(visitor, "A", "color"), visitor.page.get_by_role("article", name="Image B").locator("canvas"))
    dragged = {side: visitor.image(side) for side in "AB"}
    again = visit()
    chip(again, "B", "color").press("Enter")
    again.rest()
    assert {side: again.image(side) for side in "AB"} == dragged
    expect(chip(again, "A", "color")).to_have_attribute("aria-pressed", "true")
    chip(again, "A", "color").press("Space")
    again.rest()
    assert {side: again.image(side) for side in "AB"} == before


def test_what_was_moved_goes_with_a_swap(visit: Visit) -> None:
    """A factor's sliders go with it to the other image."""
    visitor = visit()
    slider(visitor, "color 0").press("ArrowRight")
    moved = visitor.values()["color 0"]
    chip(visitor, "A", "color").press("Enter")
    visitor.page.get_by_role("radio", name="B").check()
    visitor.rest()
    assert visitor.values()["color 0"].split(",")[0] == moved.split(",")[0]


def test_an_address_shows_the_same_to_others(visit: Visit) -> None:
    """Reloaded, or opened by somebody else, an address shows the same pixels and the same sliders."""
    visitor = visit()
    visitor.choose("example 5")
    slider(visitor, "digit 1").press("PageUp")
    visitor.page.locator("summary", has_text="residual").click()
    slider(visitor, "residual 2").press("End")
    chip(visitor, "A", "angle").press("Enter")
    visitor.page.locator("#strip-0").select_option("color.2")
    visitor.page.locator("#grid-1").select_option("digit.4")
    visitor.rest()
    assert re.search(r"set-a=digit\.1:-?[\d.]+,residual\.2:", visitor.page.url)
    seen = (visitor.pixels(), visitor.values())
    visitor.page.reload()
    visitor.rest()
    assert (visitor.pixels(), visitor.values()) == seen
    colleague = visit(visitor.page.url.partition("#")[2])
    assert (colleague.pixels(), colleague.values()) == seen


def test_everything_can_be_reset(visit: Visit) -> None:
    """A factor, or all, goes back to where it was."""
    visitor = visit()
    before = visitor.pixels()
    slider(visitor, "color 1").press("End")
    slider(visitor, "angle 0").press("Home")
    visitor.page.get_by_role("button", name="Reset color").click()
    visitor.rest()
    assert "was" not in visitor.values()["color 1"]
    assert "was" in visitor.values()["angle 0"]
    chip(visitor, "A", "digit").press("Enter")
    visitor.page.get_by_role("button", name="Reset all").click()
    visitor.rest()
    assert visitor.pixels() == before
    assert "was" not in str(visitor.values())


def test_the_grid_moves_two_dimensions(visit: Visit) -> None:
    """Pointing into the grid moves both of its dimensions, and into the strip the one of that."""
    visitor = visit()
    before = visitor.values()
    grid = visitor.page.locator("#grid canvas")
    box = grid.bounding_box()
    assert box
    grid.click(position={"x": box["width"] - 5, "y": 5})
    visitor.rest()
    after = visitor.values()
    assert (after["color 0"].split(",")[0], after["angle 0"].split(",")[0]) == ("2.50", "1.80")
    visitor.page.locator("#strip canvas").click(position={"x": 3, "y": 5})
    visitor.rest()
    assert visitor.values()["digit 0"].startswith("−0.80")
    assert {name for name, value in visitor.values().items() if value != before[name]} == {
        "color 0",
        "angle 0",
        "digit 0",
    }


def test_it_is_used_by_keyboard_alone(visit: Visit) -> None:
    """With nothing but keys, an example is chosen, a dimension moved, a factor swapped, and a traversal changed."""
    visitor = visit()
    keys, seen = visitor.page.keyboard, visitor.pixels()

    def tab_to(selector: str) -> None:
        for _ in range(120):
            keys.press("Tab")
            if visitor.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(selector)

    for selector, key in (
        ("#examples input", "ArrowLeft"),
        (".card button.chip[value=color]", "Enter"),
        ("#strip-0", "ArrowDown"),
        ("#sliders input", "ArrowRight"),
        (".code .choices input", "ArrowRight"),
    ):
        tab_to(selector)
        outline = visitor.page.evaluate(
            "(() => { const it = document.activeElement; const shown = it.matches('.unseen') ? it.parentElement : it;"
            " return getComputedStyle(shown).outlineStyle; })()"
        )
        assert outline != "none", selector
        keys.press(key)
    visitor.rest()
    address = visitor.page.url
    for part in ("a=15", "swap=color", "strip=digit.1", "set-a=digit.0", "in=curl"):
        assert part in address, address
    assert visitor.pixels() != seen
