"""The client that waits, against a server process."""

import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from gyoza.client import (
    Client,
    Conflict,
    ConnectionFailed,
    Forbidden,
    InvalidInput,
    NotFound,
    NotReady,
    NotTrusted,
    Retries,
    TimedOut,
    TooLarge,
    Unauthorized,
)
from gyoza.client.formats import FormatName
from tests.app.certificates import make_certificate
from tests.app.servers import serving
from tests.app.worlds import FACTORS, LATENTS, LOCATION, SCALE, rows

FORMATS: tuple[FormatName, ...] = ("safetensors", "json", "lists")
CODES = SCALE * (np.array(LATENTS) - LOCATION)


@pytest.fixture
def client(address: str, keys: dict[str, str]) -> Any:
    """An admin's client."""
    with Client(address, api_key=keys["ada"]) as found:
        yield found


@pytest.fixture(params=FORMATS)
def formatted(request: pytest.FixtureRequest, address: str, keys: dict[str, str]) -> Any:
    """A client for each format."""
    with Client(address, format=request.param, api_key=keys["ada"]) as found:
        yield found


def test_latents_become_codes(formatted: Client) -> None:
    """In every format, codes, logdet and log-likelihood are those of the flow, and it is told who answered."""
    found = formatted.encode(np.array(LATENTS, np.float32))
    np.testing.assert_allclose(found.codes, CODES, rtol=1e-6)
    np.testing.assert_allclose(found.logdet, np.log(4) * np.ones(2), rtol=1e-6)
    normal = -0.5 * (CODES**2).sum(axis=1) - 2 * np.log(2 * np.pi)
    np.testing.assert_allclose(found.log_likelihood, normal + np.log(4), rtol=1e-6)
    assert (found.model, found.version) == ("tiny", "2")


def test_formats_give_the_same_bits(address: str, keys: dict[str, str]) -> None:
    """What comes in one format comes in all, bit by bit, in the flow's dtype where the format can say it."""
    latents = rows(5).astype(np.float32)
    found = []
    for name in FORMATS:
        with Client(address, format=name, api_key=keys["ada"]) as client:
            found.append(client.encode(latents))
    binary, base64, lists = found
    assert [each.codes.dtype.name for each in found] == ["float32", "float32", "float64"]
    for other in (base64, lists):
        np.testing.assert_array_equal(binary.codes, other.codes.astype(np.float32))
        np.testing.assert_array_equal(binary.log_likelihood, other.log_likelihood.astype(np.float32))


def test_factors_there_and_back(formatted: Client) -> None:
    """Factors come by name in the order of the code, and invert to the latents they are of, as codes do."""
    found = formatted.factors(LATENTS)
    assert {name: factor.shape for name, factor in found.factors.items()} == {
        name: (2, size) for name, size in FACTORS.items()
    }
    assert list(found.factors) == list(FACTORS)
    for codes in (found.factors, CODES):
        back = formatted.invert(codes, check=True)
        np.testing.assert_allclose(back.latents, LATENTS, atol=1e-6)
        assert back.round_trip_error is not None
        assert back.round_trip_error.shape == (2,)
    assert formatted.invert(CODES).round_trip_error is None


def test_what_is_known_of_models(client: Client) -> None:
    """Layout, list and details are what the service tells."""
    layout = client.layout()
    assert [(factor.name, factor.start, factor.size) for factor in layout.factors] == [
        ("residual", 0, 2),
        ("digit", 2, 1),
        ("color", 3, 1),
    ]
    assert (layout.size, layout.model, layout.version) == (4, "tiny", "2")
    plain, tiny = client.models()
    assert (plain.name, plain.state, plain.reason) == ("plain", "READY", None)
    assert [version.version for version in tiny.versions] == ["1", "2"]
    details = client.model("tiny", 1)
    assert details.model == tiny
    assert (details.version, details.latent_shape, details.code_size, details.dtype) == ("1", (4,), 4, "float32")
    assert details.factors == layout.factors
    assert (details.checks or ())[0].name == "round trip"
    assert client.using("plain").model().factors is None


def test_a_model_needs_a_name(client: Client) -> None:
    """Which model's details are meant must be said somewhere."""
    with pytest.raises(ValueError, match="A model must be named"):
        client.model()


def test_health(client: Client) -> None:
    """A server that answers is alive, one that can be asked is ready."""
    assert client.is_alive()
    assert client.is_ready()


def test_nobody_is_not_alive() -> None:
    """Where nobody listens, nobody is alive, and a call fails after its tries with the address in its words."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with Client(address, retries=Retries(count=1, first=0.001)) as client:
        assert not client.is_alive()
        assert not client.is_ready()
        with pytest.raises(ConnectionFailed, match=rf"GET /models at {address}.*ConnectError"):
            client.models()


def test_a_certificate_that_is_not_trusted_is_told_at_once(world: Path, tmp_path: Path) -> None:
    """Whoever signed it, no further try is made; and with the certificate at hand, the same server answers."""
    certificate, key = make_certificate(tmp_path)
    with serving(world, "--default-model", "tiny", "--tls-certificate", str(certificate), "--tls-key", str(key)) as (
        _,
        address,
        _,
    ):
        with Client(address, retries=Retries(first=3600.0, seconds=7200.0)) as client, pytest.raises(NotTrusted):
            client.models()
        trusting = httpx.Client(verify=ssl.create_default_context(cafile=str(certificate)))
        with trusting, Client(address, http_client=trusting) as client:
            assert client.encode(LATENTS).model == "tiny"


def test_many_rows_are_sent_in_parts(address: str, keys: dict[str, str]) -> None:
    """Rows come back in their order, whatever the parts, and progress is told after each."""
    latents = rows(1000).astype(np.float32)
    told: list[tuple[int, int]] = []
    with Client(address, rows_per_call=300, api_key=keys["ada"]) as client:
        found = client.encode(latents, progress=lambda done, total: told.append((done, total)))
        factors = client.factors(latents).factors
        back = client.invert(factors, check=True)
    assert told == [(250, 1000), (500, 1000), (750, 1000), (1000, 1000)]
    np.testing.assert_allclose(found.codes, SCALE * (latents - LOCATION), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(np.concatenate(list(factors.values()), axis=1), found.codes)
    np.testing.assert_allclose(back.latents, latents, atol=1e-5)
    assert found.logdet.shape == (1000,)


def test_more_than_the_service_takes_at_once(client: Client) -> None:
    """More rows than a request may have are no more than several requests, also where parts are wanted larger."""
    latents = rows(70_000).astype(np.float32)
    codes = client.encode(latents).codes
    with Client(client._url, rows_per_call=70_000, headers=client._headers) as hasty:
        np.testing.assert_allclose(hasty.encode(latents).codes, codes, rtol=1e-6)
    with pytest.raises(TooLarge, match="at most 65536 rows"):
        client.sample(70_000)


@pytest.mark.parametrize(
    ("latents", "field"),
    [(np.array([[0, 0, 0, np.nan]]), "latents[0][3]"), (np.ones((1, 3)), "latents")],
)
def test_what_breaks_a_rule_is_named(formatted: Client, latents: Any, field: str) -> None:
    """Whether numbers are finite and shapes fit is left to the service, whose fields are in the error."""
    with pytest.raises(InvalidInput) as caught:
        formatted.encode(latents)
    assert [problem.field for problem in caught.value.fields] == [field]
    assert caught.value.request_id


def test_problems_are_told_apart(client: Client, address: str) -> None:
    """Each kind is an error of its own, with status and title."""
    with pytest.raises(NotFound, match="tiny") as caught:
        client.using("nothing").encode(LATENTS)
    assert (caught.value.status, caught.value.kind) == (404, "not-found")
    with pytest.raises(Conflict, match="factor layout"):
        client.using("plain").factors(LATENTS)
    with Client(address) as anybody:
        assert anybody.encode(LATENTS).model == "tiny"
        with pytest.raises(Unauthorized):
            anybody.load("plain")


def test_models_are_loaded_and_unloaded(client: Client) -> None:
    """An admin unloads a model, which is not ready then, and loads it again."""
    assert client.unload("plain").state == "UNAVAILABLE"
    with (
        Client(client._url, headers=client._headers, retries=Retries(count=0), model="plain") as hasty,
        pytest.raises(NotReady) as caught,
    ):
        hasty.encode(LATENTS)
    assert caught.value.retry_after is not None
    assert client.load("plain").versions[0].state == "READY"
    assert client.using("plain").encode(LATENTS).model == "plain"


def test_an_answer_that_is_late_is_told_so() -> None:
    """A server that takes the request and says nothing is given up in the client's own time, once."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        accepted: list[socket.socket] = []
        thread = threading.Thread(target=lambda: accepted.append(silent.accept()[0]))
        thread.start()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(address, timeout=0.05) as client, pytest.raises(TimedOut, match="POST /encode at"):
            client.encode(LATENTS)
        thread.join()
        accepted[0].close()


def test_an_idle_connection_that_was_closed_costs_nothing(client: Client, address: str) -> None:
    """A connection that broke since the last call is made anew without a word."""
    client.encode(LATENTS)
    pool = client._http._transport._pool  # type: ignore[attr-defined]
    for connection in pool.connections:
        connection._connection._network_stream._sock.shutdown(socket.SHUT_RDWR)
    assert client.encode(LATENTS).codes.shape == (2, 4)


def test_it_is_shared_between_threads(client: Client) -> None:
    """Threads that share a client get the answers to their own calls."""
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        found[number] = client.encode(np.full((3, 4), number, np.float32)).codes

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, codes in found.items():
        np.testing.assert_allclose(codes, np.tile(SCALE * (number - LOCATION), (3, 1)), rtol=1e-6)
    assert len(found) == 8


def test_a_transport_may_be_given(address: str) -> None:
    """What httpx sends by may be one's own, such as one that counts on other certificates or addresses."""
    with Client(address, transport=httpx.HTTPTransport(retries=1)) as client:
        assert client.is_alive()


def test_forbidden_is_said(address: str) -> None:
    """A key that is unknown is told so where one is needed."""
    with Client(address, api_key="unknown") as client, pytest.raises((Unauthorized, Forbidden)):
        client.unload("plain")
