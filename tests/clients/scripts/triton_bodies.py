"""Bodies that ``tritonclient[http]`` makes and reads apart from its connection, and requests that it sends at once."""

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.http as triton

from tests.clients.scripts.native import ROWS, case_of, post
from tests.clients.scripts.triton_calls import outputs_of, tensor

MODEL = "digits.encode"
LENGTH = "Inference-Header-Content-Length"
COMPRESS: dict[str | None, Callable[[bytes], bytes]] = {None: bytes, "gzip": gzip.compress, "deflate": zlib.compress}


def apart(client: Any, address: str) -> None:
    """A body that the client wrote is answered in what it can read, compressed where that was asked for, and only there."""
    case = case_of(address, "encode")
    for binary in (True, False):
        outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in case.outputs]
        own = [tensor(triton, "latents", ROWS, binary=binary)]
        body, json_bytes = client.generate_request_body(own, outputs=outputs, request_id="b-1")
        for coding, compress in COMPRESS.items():
            headers = {"Content-Encoding": coding, "Accept-Encoding": coding} if coding else {}
            if json_bytes is not None:
                headers[LENGTH] = str(json_bytes)
            answer = post(address, f"/v2/models/{MODEL}/infer", compress(body), headers)
            length, came = answer.headers[LENGTH], answer.headers["Content-Encoding"]
            assert (length is not None, came) == (binary, None if binary else coding)
            found = client.parse_response_body(
                answer.content, header_length=length and int(length), content_encoding=came
            )
            assert found.get_response()["id"] == "b-1"
            case.check(outputs_of(found))


def at_once(client: Any, address: str) -> None:
    """Requests that are under way together each get their own rows' answer, whatever pass they shared."""
    rows = [ROWS + position for position in range(16)]
    under_way = [client.async_infer(MODEL, [tensor(triton, "latents", own)], request_id=str(len(own))) for own in rows]
    for own, answer in zip(rows, under_way, strict=True):
        codes = case_of(address, "encode", own).outputs["codes"]
        np.testing.assert_allclose(answer.get_result(timeout=30).as_numpy("codes"), codes, rtol=1e-4, atol=1e-4)
