"""Why a file could not be loaded, in one line."""

import re

__all__ = ["LoadError", "reason"]

WRAPPERS = re.compile(
    r"Exception encountered[^\n]*?:\s+"
    r"|Exception encountered when calling[^\n]*\n+"
    r"|[^\n]*Example error message for object[^\n]*\n+"
)
"""What Keras writes before an error: once for each layer around the one that raised it."""
COLORS = re.compile(r"\x1b\[\d+m")


class LoadError(Exception):
    """A file could not be loaded; the text says what is wrong with it, and what to do."""


def reason(error: Exception) -> str:
    """Return the line of an error that says why, since Keras puts whole configs before it and behind it."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, KeyError) and " " not in text:
        return f"{text!r} is missing"
    innermost = WRAPPERS.split(COLORS.sub("", text))[-1]
    return (innermost.strip().splitlines() or [type(error).__name__])[0].rstrip(" .,")
