"""Errors: one table, one shape of answer."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app import errors
from app.api.error_handlers import INTERNAL, KINDS, METHOD_NOT_ALLOWED
from tests.app.worlds import app_of, client_of, put

ADVICE = [
    ("GET", "/nope", b"", "The page /docs lists those that exist."),
    ("GET", "/encode", b"", "Use one of these."),
    ("GET", "/models/nobody", b"", "Name one of them."),
    ("GET", "/models/tiny/versions/7", b"", "or none for the highest that is READY."),
    ("POST", "/encode", b"{", "Send one JSON object, as the page /docs shows."),
    ("POST", "/encode", b"[" * 200_000, "Send it nested less deeply."),
    ("POST", "/encode", b'{"latents": {"dtype": "float32", "shape": [1, 4], "base64": "A!"}}', "padded with =."),
    ("POST", "/encode", b'{"latents": {"dtype": "float32", "shape": [1, 4], "base64": ""}}', "dtype that fit them."),
    ("POST", "/encode", b'{"latents": [[1]]}', "Correct what is named; the page /docs shows what each field takes."),
    ("POST", "/encode", b'{"x": 1}', "Correct what is named; the page /docs shows what each field takes."),
    ("POST", "/invert?decode=true", b"{}", "or ask without ?decode=true."),
    ("POST", "/models/bad/encode", b"{}", "must mend its files, and load it again or restart."),
    ("GET", "/readyz", b"", "or set GYOZA_STRICT_READINESS=false to be ready without them."),
]

CONTRACT = {
    "malformed-request": 400,
    "malformed-body": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "request-timeout": 408,
    "conflict": 409,
    "too-large": 413,
    "unsupported-media-type": 415,
    "invalid-input": 422,
    "overloaded": 429,
    "head-too-large": 431,
    "internal": 500,
    "not-ready": 503,
    "deadline-exceeded": 504,
}


def leaves(error: type[errors.GyozaError]) -> Iterator[type[errors.GyozaError]]:
    """Every class of the tree that has no subclass."""
    children = error.__subclasses__()
    if not children:
        yield error
    for child in children:
        yield from leaves(child)


def test_every_error_has_its_status() -> None:
    """No error of the tree is unmapped, and nothing else is mapped."""
    assert set(leaves(errors.GyozaError)) == set(KINDS)


def test_the_kinds_are_those_that_are_promised() -> None:
    """Kinds and statuses are what clients rely on."""
    kinds = [*KINDS.values(), METHOD_NOT_ALLOWED, INTERNAL]
    assert {kind.name: kind.status for kind in kinds} == CONTRACT


def test_the_tree_is_drawn_whole() -> None:
    """Every class of errors.py stands in the drawing of its docstring."""
    classes = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(classes) > 10
    assert [name for name in classes if name not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize("path", ["/nope", "/encode/", "/models/tiny/versions", "/models/tiny/nope", "/%ff"])
async def test_unknown_paths(client: httpx.AsyncClient, path: str) -> None:
    """An unknown path is 404 in the one shape, and leads to the list of those that exist."""
    answer = await client.post(path, json={})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert list(body) == ["type", "title", "status", "detail", "errors", "request_id"]
    assert (body["type"], body["status"], body["errors"]) == ("urn:gyoza:not-found", 404, [])
    assert "/docs" in body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/factors", "GET, HEAD, POST"),
        ("GET", "/encode", "POST"),
        ("GET", "/models/tiny/invert", "POST"),
        ("PUT", "/models/tiny/versions/1/factors", "GET, HEAD, POST"),
        ("POST", "/models", "GET, HEAD"),
        ("PATCH", "/models/tiny", "GET, HEAD"),
        ("POST", "/readyz", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
        ("OPTIONS", "/encode", "POST"),
    ],
)
async def test_wrong_methods(client: httpx.AsyncClient, method: str, path: str, allow: str) -> None:
    """A method that a path does not answer is 405, with every one that it does answer in Allow."""
    answer = await client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allow
    assert answer.json()["type"] == "urn:gyoza:method-not-allowed"
    assert allow in answer.json()["detail"]
    assert f"Received: {method}" in answer.json()["detail"]


async def test_a_body_with_many_faults_gets_a_short_answer(client: httpx.AsyncClient) -> None:
    """The first faults are told with their number in all, and no client's text comes back at any length."""
    answer = await client.post("/invert", json={"factors": {"x" * 5000 + str(number): [[0.0]] for number in range(99)}})
    problem = answer.json()
    assert (answer.status_code, len(problem["errors"])) == (422, 10)
    assert len(answer.content) < 50_000
    assert " … " in problem["errors"][0]["field"]
    long = (await client.get(f"/models/{'m' * 5000}")).json()
    assert len(long["detail"]) < 2100


def test_faults_beyond_the_first_are_counted() -> None:
    """The text names ten faults and says how many there are."""
    error = errors.InvalidInput(*(errors.FieldError(f"f{number}", "wrong") for number in range(12)))
    assert str(error).endswith("f9: wrong; … (12 in all)")


@pytest.mark.parametrize(("method", "path", "body", "advice"), ADVICE)
async def test_a_problem_ends_with_what_to_do(folder: Path, method: str, path: str, body: bytes, advice: str) -> None:
    """Whatever is wrong, the last words of the detail are what to do about it."""
    put(folder, name="bad", text="?")
    async with client_of(app_of(folder, default_model="tiny")) as client:
        answer = await client.request(method, path, content=body)
    assert answer.json()["detail"].endswith(advice)


async def test_another_content_type_ends_with_what_to_do(client: httpx.AsyncClient) -> None:
    """A body of a type that is not read here is told which to send."""
    answer = await client.post("/encode", content=b"x", headers={"Content-Type": "text/plain"})
    assert answer.json()["detail"].endswith("Send the body as one of these.")
