"""From a request to what its body says."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from starlette.requests import Request

from app.api.bodies import body_limit, coding_of, joined, read_body
from app.api.call import beside
from app.api.dependencies import services_of
from app.api.exchange import exchange_of
from app.api.inflation import MOST_RATIO

T = TypeVar("T")


async def received(
    request: Request, headers: Mapping[str, str], deadline: float, parse: Callable[[bytes], T], *, is_json: bool
) -> T:
    """Read a body, inflate it where it is compressed, and parse it, a large one in a thread.

    Args:
        request: Whose body it is.
        headers: The request's.
        deadline: On the clock of ``time.monotonic``.
        parse: Makes of the bytes what they say.
        is_json: Whether the limit for JSON holds.

    Raises:
        GyozaError: What is wrong with it; see ``read_body``, ``joined`` and ``parse``.
    """
    services, coding, timings = services_of(request), coding_of(headers), exchange_of(request.scope).timings
    limit = body_limit(services.settings, is_json=is_json)
    with services.intake.portion() as portion:
        pieces = await read_body(request.receive, headers, limit, deadline, portion)
        size = sum(map(len, pieces)) * (MOST_RATIO if coding else 1)
        timings.decode_start = time.monotonic()
        found = await beside(size, lambda: parse(joined(pieces, coding, *limit)))
        timings.decode = time.monotonic() - timings.decode_start
    return found
