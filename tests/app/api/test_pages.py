"""What browsers are told of pages."""

import re
from base64 import b64encode
from hashlib import sha256

import httpx

from app.api.pages import policy_of


async def test_a_page_runs_nothing_but_its_own(client: httpx.AsyncClient) -> None:
    """A page's policy allows the scripts and styles that stand in it, by digest, and no host; nobody may frame it."""
    answer = await client.get("/docs")
    policy = answer.headers["content-security-policy"]
    for element in ("script", "style"):
        (text,) = re.findall(rf"<{element}[^>]*>(.*?)</{element}>", answer.text, re.DOTALL)
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"https?:|\*", policy)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"<[^>]+\s(on\w+|style)=", answer.text)


def test_a_page_without_scripts_runs_none() -> None:
    """Where a page has no script, none is allowed."""
    assert "script-src 'none'; style-src 'none';" in policy_of("<p>hello</p>")
