"""Answers to results."""

import httpx
import orjson
import pytest

from gyoza.client import Client, TooLarge, UnexpectedAnswer
from tests.client.scripted import ENCODED, Script, encoded, problem

ROWS = [[1.0]]


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (httpx.Response(200, html="<p>Log in</p>"), r"a content type of application/json, .*text/html.*Log in"),
        (httpx.Response(200, headers={"content-type": "application/json"}, content=b"{"), "what can be read"),
        (httpx.Response(200, json=[1]), "what can be read"),
        (httpx.Response(200, json={**ENCODED, "codes": [["a"]]}), "what can be read"),
        (
            httpx.Response(200, headers={"content-type": "application/vnd.safetensors"}, content=b"abc"),
            "SafetensorError",
        ),
        (httpx.Response(200, json={"codes": [[1.0]]}), "model must be a text in the answer.*Received: codes"),
        (
            httpx.Response(200, json={"model": "tiny", "version": "1"}),
            "must hold what makes Encoded.*Received: model, version",
        ),
        (httpx.Response(204), "content of no type|no content"),
    ],
    ids=["page", "no JSON", "no object", "no numbers", "no safetensors", "unsigned", "fields missing", "nothing"],
)
def test_an_answer_that_can_not_be_read_is_unexpected(answer: httpx.Response, match: str) -> None:
    """A success with something else in it, such as a page to log in, is an error that shows how it begins."""
    client = Client("http://here", transport=Script([answer]).transport)
    with pytest.raises(UnexpectedAnswer, match=match):
        client.encode(ROWS)


@pytest.mark.parametrize("document", [b"[]", b"{}", b"<p>Log in</p>"])
def test_a_description_that_can_not_be_read_is_unexpected(document: bytes) -> None:
    """The same holds for what is told of models."""
    client = Client("http://here", transport=Script([httpx.Response(200, content=document)]).transport)
    with pytest.raises(UnexpectedAnswer, match="The answer to GET /models must have what can be read"):
        client.models()


def test_fields_of_later_services_are_left_aside() -> None:
    """A field that this client does not know costs it nothing."""
    answer = httpx.Response(200, json={**ENCODED, "mood": [0.5]})
    assert Client("http://here", transport=Script([answer]).transport).encode(ROWS).codes.tolist() == [[1.0]]


def test_all_parts_are_answered_by_one_version() -> None:
    """The first answer's version is the one that all further parts ask by its name, whatever takes over meanwhile."""
    script = Script([encoded() for _ in range(3)])
    found = Client("http://here", transport=script.transport, rows_per_call=1).encode([[1.0], [2.0], [3.0]])
    assert [request.url.path for request in script.requests] == ["/encode", *2 * ["/models/tiny/versions/1/encode"]]
    assert found.codes.shape == (3, 1)
    assert (found.model, found.version) == ("tiny", "1")


def test_parts_that_are_too_large_for_the_service_are_halved() -> None:
    """Where the service refuses the first part, all are cut in two until it takes them; the progress counts each row once."""
    refused = [problem(413, "too-large") for _ in range(2)]
    script, told = Script([*refused, *(encoded() for _ in range(4))]), list[tuple[int, int]]()
    client = Client("http://here", transport=script.transport, format="lists", rows_per_call=4)
    found = client.encode([[float(row)] for row in range(4)], progress=lambda done, rows: told.append((done, rows)))
    sent = [len(orjson.loads(request.content)["latents"]) for request in script.requests]
    assert sent == [4, 2, 1, 1, 1, 1]
    assert found.codes.shape == (4, 1)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_later_part_is_halved_by_itself() -> None:
    """Where rows differ in what they take, as numbers in JSON do, the part that is too large is cut, and no other."""
    script = Script([encoded(2), problem(413, "too-large"), encoded(1), encoded(1)])
    client = Client("http://here", transport=script.transport, format="lists", rows_per_call=2)
    found = client.encode([[0.0], [0.0], [0.123456789], [0.123456789]])
    assert [len(orjson.loads(request.content)["latents"]) for request in script.requests] == [2, 2, 1, 1]
    assert found.codes.shape == (4, 1)


def test_a_row_that_is_too_large_by_itself_is_told() -> None:
    """A single row can't be cut: the service's words are raised."""
    script = Script([problem(413, "too-large") for _ in range(3)])
    with pytest.raises(TooLarge, match="This must hold"):
        Client("http://here", transport=script.transport).encode([[1.0], [2.0], [3.0]])
    assert len(script.requests) == 3
