"""The wall clock jumps by a day while clients ask: only stamps notice."""

import os
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Event

import pytest

from tests.app.faults.clients import Seen, load_on, wait_until
from tests.app.faults.test_drain import get, is_ready, total
from tests.app.servers import SECONDS, serving

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime makes the clock jump")
def test_nothing_is_lost_when_the_clock_jumps(folder: Path) -> None:
    """A day forth and two days back: every answer is right and in time, and no worker is taken for lost."""

    def day() -> int:
        return parsedate_to_datetime(get(address, "/livez").headers["date"]).toordinal()

    clock = folder / "clock"
    clock.write_text("+0")
    faking = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    arguments = ("--workers", "2", "--log-level", "warning")
    with serving(folder, *arguments, env={**os.environ, **faking}) as (server, address, _):
        wait_until(lambda: is_ready(address))
        today, over = day(), Event()
        with load_on(address, lambda _: over.is_set()) as clients:
            for offset, jumped in (("+1d", lambda: day() > today), ("-1d", lambda: day() < today)):
                clock.write_text(offset)
                wait_until(jumped)
                assert is_ready(address)
            over.set()
        seen = total([each.result() for each in clients])
        assert seen == Seen(right=seen.right)
        # It is not asked to end: libfaketime breaks ``time.sleep``, by which ``subprocess`` waits for a process.
        server.kill()
        assert server.communicate(timeout=SECONDS)[1] == ""
