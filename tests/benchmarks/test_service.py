"""Servers are started, looked at and ended; the ceiling answers rightly; wrong answers are found."""

import asyncio
import sys
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import httpx
import numpy as np
import pytest

from app.manifest import digest
from benchmarks.flows.specs import FLOWS, Floats
from benchmarks.service.apps.ceiling import create
from benchmarks.service.apps.common import HOST
from benchmarks.service.changing import PLAN, Admin, Changing
from benchmarks.service.errors import NeverReady
from benchmarks.service.formats import FORMATS
from benchmarks.service.processes import Server, clients_of, status_of
from benchmarks.service.requests import Answer, Request, free_port, post
from benchmarks.service.servers import CEILING, ECHO, SERVERS, ServerKind, gyoza
from benchmarks.service.session import Effort, Session
from benchmarks.service.soaking import Clients, Recorded, Tally, cases_of, opened
from benchmarks.service.startup import Candidate, ready_by_word, start
from benchmarks.soak import get, wait

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are read from Linux' /proc")
FAMILY = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); {}"
FLOW = FLOWS["tiny-additive"]


class Doubling:
    """The simplest flow that tells rows apart."""

    def encode(self, latents: Floats) -> tuple[Floats, Floats]:
        """Map latents [n, D] to twice that, and logdet [n]."""
        return 2 * latents, latents[:, 0]

    def invert(self, codes: Floats) -> Floats:
        """Map codes [n, D] to half of that."""
        return codes / 2


def test_a_server_is_all_of_its_processes(tmp_path: Path) -> None:
    """Memory and CPU time count the children too, and all of them are ended."""
    with Server([sys.executable, "-c", FAMILY.format("time.sleep(60)")], tmp_path / "log") as server:
        end = time.monotonic() + 20
        while len(server._processes()) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        both = list(server._processes())
        memory = server.memory()
        assert len(both) == 2
        assert 0 < memory.held_mib <= memory.rss_mib
        assert 0 < memory.pss_mib <= memory.rss_mib
        assert server.cpu_seconds() > 0
    assert [status for pid in both if (status := status_of(pid)) and not status.zombie] == []


def test_children_that_were_left_behind_are_ended(tmp_path: Path) -> None:
    """A child that outlives its parent carries the server's mark."""
    server = Server([sys.executable, "-c", FAMILY.format("print('started', flush=True)")], tmp_path / "log")
    end = time.monotonic() + 20
    while server.alive and time.monotonic() < end:
        time.sleep(0.05)
    left = list(server._processes())
    assert left
    server.stop()
    assert [status for pid in left if (status := status_of(pid)) and not status.zombie] == []


def test_a_session_waits_for_the_server(tmp_path: Path) -> None:
    """The bare echo is up when the block begins, sends bodies back, and is gone after it."""
    with Session(SERVERS[ECHO], FLOW, Effort()) as session:
        session.check("json")
        answer = post(session.port, Request("/encode", {"Content-Type": "text/plain"}, b"any"))
        assert (answer.status, answer.body) == (200, b"any")
    assert not session.server.alive


def test_a_server_that_ends_is_told() -> None:
    """It is not waited for until the limit."""
    kind = ServerKind("broken", lambda *_: [sys.executable, "-c", ""], {"json": "/encode"})
    with pytest.raises(NeverReady, match="ended before it answered; broken-"), Session(kind, FLOW, Effort()):
        pass


def test_a_start_is_timed_and_weighed() -> None:
    """From the start of the process to its word, and the memory then."""
    command = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"]
    found = start(Candidate("any", lambda _: command, ready_by_word))
    assert found.what == "any"
    assert found.seconds > 0
    assert found.rss_mib > 1


async def test_the_ceiling_answers_rightly() -> None:
    """Requests that are computed together get their own rows, in any format."""
    rows = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    app = create(Doubling().encode)

    async def ask(client: httpx.AsyncClient, form: str, row: int) -> None:
        headers, body = FORMATS[form].build({"latents": rows[row : row + 1]})
        answer = await client.post(SERVERS[CEILING].forms[form], headers=headers, content=body)
        found = FORMATS[form].parse(answer.headers, answer.content)
        np.testing.assert_array_equal(found["codes"], 2 * rows[row : row + 1])
        np.testing.assert_array_equal(found["logdet"], rows[row : row + 1, 0])

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ceiling") as client:
        await asyncio.gather(*(ask(client, form, row) for form in SERVERS[CEILING].forms for row in range(8)))


def test_a_soak_finds_wrong_answers() -> None:
    """An answer with other rows, without a field, or that can't be read is wrong; a refusal is none."""
    latents = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    cases = cases_of("any", Doubling(), latents)
    assert {case.rows for case in cases} == {1, 2}
    assert {case.request.path for case in cases} == {"/models/any/encode", "/models/any/invert"}
    tally, case = Tally(), cases[0]
    right = FORMATS[case.form].build(case.expected)[1]
    others: dict[str, Any] = {name: array + 1 for name, array in case.expected.items()}
    for body in (right, FORMATS[case.form].build(others)[1], b"{}", b"["):
        tally.add(case, Answer(200, {}, body))
    tally.add(case, Answer(429, {}, b""))
    tally.add(case, None)
    assert tally.statuses == {200: 4, 429: 1, 0: 1}
    assert (tally.rows, tally.wrong, len(tally.told)) == (case.rows, 3, 3)


def test_clients_stop_by_themselves() -> None:
    """They ask until their time is over; where nothing listens, every connection counts as broken."""
    cases = cases_of("any", Doubling(), np.ones((2, 3), np.float32))
    clients = Clients(free_port(), cases, seconds=1, count=2)
    assert not clients.wait(20)
    assert set(clients.tally.statuses) == {0}


def test_an_answer_may_be_of_either_flow() -> None:
    """Where one flow takes the other's place, an answer is right if it is wholly of one of them."""
    latents = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    case = cases_of("any", Doubling(), latents, others=[Recorded(3 * latents, latents[:, 0], latents)])[0]
    (other,) = case.others
    tally = Tally()
    for codes, logdet in (
        (case.expected["codes"], case.expected["logdet"]),
        (other["codes"], other["logdet"]),
        (case.expected["codes"], other["logdet"] + 1),
    ):
        body = FORMATS[case.form].build({"codes": codes, "logdet": logdet})[1]
        tally.add(case, Answer(200, {}, body))
    assert tally.wrong == 1


def test_models_change_and_are_loaded_anew(tmp_path: Path) -> None:
    """The plans of a folder take turns, an admin has them loaded, and it is known whose connections a process has."""
    changing, admin, port = Changing(tmp_path / "models", with_keras=False), Admin(tmp_path / "admins"), free_port()
    assert admin.load(port, "turns")[0] == 0
    with Server([*gyoza(port, changing.folder), *admin.options, "--log-level", "warning"], tmp_path / "log") as server:
        wait(server, port)
        clients = Clients(port, changing.cases(), seconds=60, count=2)
        for number in (1, 2):
            changing.change(number)
            assert admin.load(port, "turns") == (200, ANY)
            assert get(port, "/models/turns")["files"] == {PLAN: digest(changing.folder / "turns" / "1" / PLAN)}
        assert server.children == []
        with closing(HTTPConnection(HOST, port)) as connection:
            own = opened(connection)
            connection.request("GET", "/livez")
            assert connection.getresponse().read()
            assert own in clients_of(server.root)
        clients.stop()
        assert not clients.wait(60)
    assert (clients.tally.wrong, clients.tally.broken) == (0, [])
    assert clients.tally.statuses[200] > 0
