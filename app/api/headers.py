"""Request headers, and what they ask for."""

import re
from collections.abc import Mapping

from starlette.types import Scope

QUALITY = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


def headers_of(scope: Scope) -> dict[str, str]:
    """Return a request's headers by lower-case name; those that came more than once are one list."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def qualities(header: str) -> dict[str, float]:
    """Read a list such as ``gzip, br;q=0.5`` to each member's weight, from 0 (refused) to 1.

    Args:
        header: The value of ``Accept`` or ``Accept-Encoding``.

    Returns:
        Lower-case member to weight. What can't be read counts as refused, and other parameters are left aside.
    """
    weights = {}
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weights[name] = weight(parameters)
    return weights


def weight(parameters: list[str]) -> float:
    """Return the weight among a member's parameters, 1 where there is none."""
    for parameter in parameters:
        if parameter.startswith("q="):
            found = QUALITY.fullmatch(parameter)
            return float(found[1]) if found else 0.0
    return 1.0


def best_media_type(header: str, known: Mapping[str, object], own: str) -> str:
    """Choose the media type of an answer.

    Args:
        header: The value of ``Accept``.
        known: The media types to choose from.
        own: The request's, which is taken where nothing else is liked better, or nothing at all that is known.
    """
    if header in {"", "*/*", own}:
        return own
    weights = qualities(header)

    def liked(media_type: str) -> float:
        ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")
        return next((weights[range_] for range_ in ranges if range_ in weights), 0.0)

    return max([own, *known], key=liked)


def accepts(header: str, coding: str) -> bool:
    """Whether an ``Accept-Encoding`` asks for a coding, by name or by ``*``."""
    weights = qualities(header)
    return weights.get(coding, weights.get("*", 0.0)) > 0
