"""Numbers of the service's own endpoints, which those that a client brings must equal; runs in any client's environment."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPMessage
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

FLOW, SIZE, VERSION = "digits", 32, "2"
INPUTS = {"encode": "latents", "factors": "latents", "invert": "codes"}
"""What each of the three models of a flow takes."""
SECONDS = 60
ROWS = np.random.default_rng(0).standard_normal((3, SIZE)).astype(np.float32)
"""[3, 32], from N(0, I): latents and codes alike."""


class Case(NamedTuple):
    """A model of the protocol, rows for it, and what the service's own endpoint makes of them."""

    model: str
    input: str
    rows: Array
    outputs: Mapping[str, Array]
    """In order, each in the flow's dtype."""

    def check(self, found: Mapping[str, Array]) -> None:
        """Require that a client brought the outputs, all of them, bit by bit."""
        assert list(found) == list(self.outputs)
        for name, wanted in self.outputs.items():
            assert (found[name].dtype, found[name].shape) == (wanted.dtype, wanted.shape), name
            np.testing.assert_array_equal(found[name], wanted, name)


class Answer(NamedTuple):
    """What the server sent."""

    status: int
    headers: HTTPMessage
    content: bytes


def post(address: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send a body to ``host:port`` without any client's help."""
    connection = HTTPConnection(address, timeout=SECONDS)
    connection.request("POST", path, body, dict(headers))
    answer = connection.getresponse()
    found = Answer(answer.status, answer.headers, answer.read())
    connection.close()
    return found


def case_of(address: str, operation: str, rows: Array = ROWS, version: str = VERSION) -> Case:
    """Ask the endpoint of a flow itself what a model of the protocol must answer."""
    body = json.dumps({INPUTS[operation]: rows.tolist()}).encode()
    path = f"/models/{FLOW}/versions/{version}/{operation}"
    answer = post(address, path, body, {"Content-Type": "application/json"})
    assert answer.status == 200, answer
    members = json.loads(answer.content)
    members = {**members.pop("factors", {}), **members}
    outputs = {name: np.array(value, np.float32) for name, value in members.items() if name not in {"model", "version"}}
    return Case(f"{FLOW}.{operation}", INPUTS[operation], rows, outputs)
