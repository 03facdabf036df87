"""One request until it is answered, without any input or output."""

import pytest

from gyoza.client import ConnectionFailed, NotReady, Retries
from gyoza.client.exchange import exchange, probe
from gyoza.client.flows import Pause
from gyoza.client.messages import Answer, Request
from tests.client.scripted import problem, run

REQUEST = Request("GET", "/models")
SUCCESS = Answer(200, {}, b"{}")


def not_ready(seconds: int) -> Answer:
    """An answer that asks to come again."""
    response = problem(503, "not-ready", retry_after=str(seconds))
    return Answer(503, dict(response.headers), response.content)


def test_a_success_needs_one_step() -> None:
    """A request that succeeds is sent once."""
    assert run(exchange(REQUEST, Retries()), [SUCCESS]) == ([REQUEST], SUCCESS)


def test_steps_alternate_until_it_succeeds() -> None:
    """Between two tries is a pause: what the service asked, or what doubles."""
    flow = exchange(REQUEST, Retries(first=1.0), draw=lambda: 1.0)
    steps, answer = run(flow, [not_ready(4), None, ConnectionFailed(), None, SUCCESS])
    assert steps == [REQUEST, Pause(5.0), REQUEST, Pause(2.0), REQUEST]
    assert answer is SUCCESS


def test_the_last_error_is_raised() -> None:
    """When no try is left, what came of the last one is the error, with all that the service said."""
    flow = exchange(REQUEST, Retries(count=1), draw=lambda: 0.0)
    with pytest.raises(NotReady) as caught:
        run(flow, [ConnectionFailed(), None, not_ready(4)])
    assert caught.value.retry_after == 4.0
    assert caught.value.request_id == "abc"
    assert caught.value.fields == (("latents[0]", "must be finite"),)


def test_time_is_counted_with_the_tries() -> None:
    """A try that took all the time is the last one."""
    times = iter([100.0, 161.0])
    with pytest.raises(ConnectionFailed):
        run(exchange(REQUEST, Retries(seconds=60), clock=lambda: next(times)), [ConnectionFailed()])


@pytest.mark.parametrize(
    ("outcome", "found"),
    [(SUCCESS, True), (not_ready(1), False), (ConnectionFailed(), False), (Answer(302, {}), False)],
)
def test_a_probe_asks_once(outcome: object, found: bool) -> None:
    """Whatever comes of it, a probe is one request, and no error."""
    assert run(probe(REQUEST), [outcome]) == ([REQUEST], found)
