"""Models of all kinds in a browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.app.explorer.conftest import Visit


def test_models_are_listed_with_state_and_reason(visit: Visit) -> None:
    """Every model is listed; one that can't be looked at says why, and another one is a press away."""
    visitor = visit()
    visitor.page.locator("#models summary").click()
    models = visitor.page.locator("#models > ul")
    for name in ("digits", "coded", "plain", "wrong"):
        assert models.get_by_text(name, exact=True).is_visible()
    wrong = models.get_by_role("listitem").filter(has=visitor.page.get_by_role("button", name="wrong version 1"))
    expect(wrong.last).to_contain_text("unavailable")
    expect(wrong.last).to_contain_text("the flow does not pass its load checks")
    expect(models.get_by_role("button", name="wrong version 1")).to_be_disabled()
    models.get_by_role("button", name="coded version 1").click()
    visitor.rest()
    assert "model=coded" in visitor.page.url
    assert visitor.page.locator("#models summary").inner_text() == "coded version 1"


def test_a_model_without_a_decoder_is_plotted(visit: Visit) -> None:
    """Where nothing decodes latents, they and the codes are drawn as bars, which move with the sliders and swap."""
    visitor = visit("model=coded")
    visitor_values = list(visitor.values())
    assert visitor_values == ["shape 0", "size 0", "residual 0", "residual 1"]
    before = visitor.pixels()
    assert len(before) == 6
    slider = visitor.page.get_by_role("slider", name="shape 0")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("-3", "3")
    slider.press("End")
    visitor.rest()
    moved = visitor.pixels()
    # Of A the latents and the codes; of B nothing; the strip is along that dimension; the grid over two others.
    changed = [index for index in range(6) if before[index] != moved[index]]
    assert set(changed) >= {0, 1}
    assert not {2, 3} & set(changed)
    visitor.page.get_by_role("article", name="Image A").get_by_role("button", name="size: swap").press("Enter")
    visitor.rest()
    assert visitor.pixels()[2] != moved[2]
    assert visitor.page.get_by_text("drawn from N(0, I)").is_visible()


@pytest.mark.parametrize("model", ["plain", "image"])
def test_a_model_without_a_layout_has_one_group(visit: Visit, model: str) -> None:
    """Where no factors are named, there is one group of sliders, "code", and nothing to swap; whatever the latents' shape."""
    visitor = visit(f"model={model}")
    assert list(visitor.values()) == ["code 0", "code 1", "code 2", "code 3"]
    assert visitor.page.locator(".chip").count() == 0
    before, figures = visitor.pixels(), visitor.page.get_by_role("definition").first.inner_text()
    visitor.page.get_by_role("slider", name="code 2").press("End")
    visitor.rest()
    after = visitor.pixels()
    assert after[0] != before[0]
    assert after[2] == before[2]
    assert re.fullmatch(re.escape(figures) + r" → −\d+\.\d", visitor.page.get_by_role("definition").first.inner_text())


def test_many_dimensions_come_in_portions(visit: Visit) -> None:
    """Of a hundred dimensions 64 are shown once their group is opened, and the others when they are asked for."""
    visitor = visit("model=wide")
    group = visitor.page.locator(".group")
    group.locator("summary").click()
    assert group.get_by_role("slider").count() == 64
    group.get_by_role("button", name="Show more of 100").click()
    assert group.get_by_role("slider").count() == 100
    before = visitor.image("A")
    visitor.page.get_by_role("slider", name="code 99").press("End")
    visitor.rest()
    assert visitor.image("A") != before


def test_latents_can_be_pasted(visit: Visit) -> None:
    """Pasted latents stand beside the examples, and are in the address."""
    visitor = visit("model=coded")
    visitor.page.get_by_text("Paste latents").click()
    visitor.page.get_by_label("Latents", exact=True).fill("[[0.5, -1, 2, 0.25], [1, 2, 3, 4]]")
    visitor.page.get_by_role("button", name="Use them").click()
    visitor.rest()
    assert visitor.page.get_by_role("radio", name="pasted 1", exact=True).is_checked()
    assert visitor.page.get_by_role("radio", name="pasted 2", exact=True).count() == 1
    seen = visitor.pixels()
    visitor.page.reload()
    visitor.rest()
    assert visitor.pixels() == seen
    assert visitor.page.get_by_role("radio", name="pasted 1", exact=True).is_checked()


def test_errors_are_shown_as_the_service_says_them(visit: Visit) -> None:
    """What the service refuses is shown in its own words, with the field and the id of the request."""
    visitor = visit("model=coded")
    visitor.page.get_by_text("Paste latents").click()
    field = visitor.page.get_by_label("Latents", exact=True)
    field.fill("[[0.5, true]]")
    visitor.page.get_by_role("button", name="Use them").click()
    alert = visitor.page.get_by_role("alert")
    expect(alert).to_contain_text("latents[0][1]")
    expect(alert).to_contain_text("Request")
    assert re.search(r"\b[0-9a-f]{32}\b", alert.inner_text())
    assert [text for text in visitor.errors if "422" not in text] == []
    visitor.errors.clear()  # A browser writes each refused request down.
    field.fill("[[0.5,")
    visitor.page.get_by_role("button", name="Use them").click()
    expect(alert).to_contain_text("JSON")
    visitor.page.get_by_role("button", name="Dismiss").click()
    expect(alert).to_have_count(0)
    visitor.page.get_by_role("button", name="Use them").click()
    expect(alert).to_contain_text("JSON")
    field.fill('{"latents": [[0.5, -1, 2, 0.25]]}')
    visitor.page.get_by_role("button", name="Use them").click()
    expect(alert).to_have_count(0)
