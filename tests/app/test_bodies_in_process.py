"""Binary and compressed bodies, sent to a server process over a socket."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest
import safetensors.numpy

from tests.app.servers import serving
from tests.app.worlds import coupled, put, rows

LATENTS = rows(3000)
CODES = coupled().encode(LATENTS)[0]
FILE = safetensors.numpy.save({"latents": LATENTS})
JSON = json.dumps({"latents": LATENTS.tolist()}).encode()
SAFETENSORS = "application/vnd.safetensors"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server process."""
    folder = tmp_path_factory.mktemp("models")
    put(folder, text="coupled")
    with serving(folder, "--log-level", "warning") as (_, found, _):
        yield found


def pieces(body: bytes) -> Iterator[bytes]:
    """Cut a body into pieces, as a chunked one arrives."""
    return (body[start : start + 10_007] for start in range(0, len(body), 10_007))


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("coding", "compress"), [("identity", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress)]
)
@pytest.mark.parametrize("accept_encoding", ["identity", "gzip"])
def test_every_way_gives_the_same_codes(
    address: str, coding: str, compress: Callable[[bytes], bytes], chunked: bool, accept_encoding: str
) -> None:
    """Whether JSON or safetensors, plain or compressed, whole or in chunks: the codes are those of the flow."""
    for body, media_type in ((JSON, "application/json"), (FILE, SAFETENSORS)):
        content = compress(body)
        headers = {"Content-Type": media_type, "Content-Encoding": coding, "Accept-Encoding": accept_encoding}
        answer = httpx.post(f"{address}/encode", content=pieces(content) if chunked else content, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == media_type
        if media_type == SAFETENSORS:
            np.testing.assert_array_equal(safetensors.numpy.load(answer.content)["codes"], CODES)
        else:
            assert answer.headers.get("content-encoding", "identity") == accept_encoding
            np.testing.assert_array_equal(answer.json()["codes"], CODES)


def test_a_bomb_is_refused_and_the_server_goes_on(address: str) -> None:
    """A small body that inflates to 256 MiB is 413, for JSON and for safetensors, and the next request is answered."""
    bomb = b"".join(gzipped_zeros(2**28))
    for media_type, setting in (("application/json", "MAX_JSON_BYTES"), (SAFETENSORS, "MAX_BODY_BYTES")):
        headers = {"Content-Type": media_type, "Content-Encoding": "gzip"}
        answer = httpx.post(f"{address}/encode", content=bomb, headers=headers, timeout=30)
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:gyoza:too-large")
        assert f"GYOZA_{setting}" in answer.json()["detail"]
    assert httpx.post(f"{address}/encode", content=JSON).status_code == 200


def gzipped_zeros(size: int) -> Iterator[bytes]:
    """Compress zeros without holding them."""
    compressor = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    for _ in range(size // 2**20):
        yield compressor.compress(bytes(2**20))
    yield compressor.flush()
