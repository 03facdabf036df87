"""The page and the service behind it: stopped and started again, with keys, behind a prefix."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
from playwright.sync_api import expect

from tests.app.explorer.conftest import Visit
from tests.app.keyrings import write_keys
from tests.app.servers import serving

LONGEST_WAIT_MS = 20_000
"""The page asks again after ten seconds at most."""


def test_it_goes_on_when_the_service_does(visit: Visit, models: Path) -> None:
    """When the service is stopped the page says so and keeps what it shows; when it is there again, it goes on."""
    with serving(models, "--no-strict-readiness") as (_, address, _banner):
        visitor = visit("model=digits", at=f"{address}/")
        before = visitor.image("A")
    visitor.page.get_by_role("slider", name="color 0").press("End")
    expect(visitor.page.get_by_role("alert")).to_contain_text("The service does not answer")
    visitor.page.get_by_role("button", name="Try now").click()
    expect(visitor.page.get_by_role("alert")).to_contain_text("The service does not answer")
    assert visitor.image("A") == before
    port = address.rpartition(":")[2]
    with serving(models, "--no-strict-readiness", "--port", port):
        expect(visitor.page.get_by_role("alert")).to_have_count(0, timeout=LONGEST_WAIT_MS)
        visitor.rest()
        assert visitor.image("A") != before
        assert "set-a=color.0" in visitor.page.url
    # Not connected at first; then not ready, if the page asks while the models load.
    assert [text for text in visitor.errors if not re.search(r"ERR_|status of 503", text)] == []
    visitor.errors.clear()  # A browser writes down each time that it reached nobody.


def test_it_asks_for_a_key(visit: Visit, models: Path, tmp_path: Path) -> None:
    """Where the service wants a key the page asks for one, says when it is the wrong one, and keeps the right one."""
    keys = write_keys(tmp_path / "keys", "ada")
    with serving(models, "--no-strict-readiness", "--api-keys-file", str(tmp_path / "keys")) as (_, address, _banner):
        visitor = visit(at=f"{address}/", wait=False)
        for key, found in (("wrong", False), (keys["ada"], True)):
            visitor.page.get_by_label("API key").fill(key)
            visitor.page.get_by_role("button", name="Go on").click()
            if not found:
                expect(visitor.page.get_by_role("alert")).to_contain_text("not known here")
        visitor.page.get_by_role("article").first.wait_for()
        visitor.rest()
        assert "$GYOZA_KEY" not in visitor.page.url
        visitor.page.get_by_text("curl", exact=True).click()
        code = visitor.page.get_by_role("region", name="Code for what is shown")
        expect(code).to_contain_text("Authorization: Bearer $GYOZA_KEY")
        assert keys["ada"] not in visitor.page.content()
        visitor.page.reload()
        visitor.rest()
        assert visitor.page.get_by_role("article").count() == 2
    assert [text for text in visitor.errors if "401" not in text] == []
    visitor.errors.clear()  # A browser writes each refused request down.


def test_it_works_behind_a_prefix(visit: Visit, models: Path) -> None:
    """Behind a proxy's prefix every request of the page goes below it."""
    with serving(models, "--no-strict-readiness", "--root-path", "/gyoza") as (_, address, _banner):
        visitor = visit("model=coded", at=f"{address}/gyoza/")
        visitor.page.get_by_role("slider", name="shape 0").press("End")
        visitor.rest()
        assert visitor.page.get_by_role("alert").count() == 0
        visitor.page.get_by_role("link", name="API").click()
        visitor.page.wait_for_url("**/gyoza/docs")
        visitor.rest()


def test_the_code_that_is_copied_runs(visit: Visit) -> None:
    """The curl that is copied, run as it is, gives what is shown; the Python, likewise, gives the same."""
    visitor = visit("model=coded&set-a=shape.0:1.5&swap=size", permissions=["clipboard-read", "clipboard-write"])
    page = visitor.page
    page.get_by_text("curl", exact=True).click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    command = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    codes = httpx.Response(200, text=done.stdout).json()["codes"]
    assert codes[0][2] == 1.5
    page.get_by_text("Python", exact=True).click()
    shown = page.get_by_role("region", name="Code for what is shown")
    expect(shown).to_contain_text('client.edit(latents, swap("size", latents[::-1])')
    script = shown.inner_text()
    told = "\nprint(answer.codes.tolist())\nclient.close()"
    done = subprocess.run([sys.executable, "-c", script + told], capture_output=True, text=True, check=True)
    np.testing.assert_allclose(json.loads(done.stdout), codes, rtol=1e-5)
