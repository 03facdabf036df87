"""Pages for browsers: nothing on them comes from elsewhere, and nobody else shows them in theirs."""

import re
from base64 import b64encode
from hashlib import sha256

from starlette.responses import HTMLResponse

SAFETY = {"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
"""What holds for every page, and for every file of one."""


class Page(HTMLResponse):
    """A page whose scripts and styles all stand in it.

    Args:
        html: The page.
    """

    def __init__(self, html: str) -> None:
        """Add what browsers are told of it."""
        super().__init__(html, headers={"Content-Security-Policy": policy_of(html), **SAFETY})


def policy_of(html: str) -> str:
    """Allow a page its own scripts and styles, by their digests, and requests to where it came from; nothing else."""
    scripts, styles = digests(html, "script"), digests(html, "style")
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def digests(html: str, element: str) -> str:
    """Return the digests of all elements of a kind, as a policy names them."""
    texts = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts) or "'none'"
