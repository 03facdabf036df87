"""Bodies of requests: JSON, JSON with the bytes of tensors behind it, or the bytes of the one tensor."""

from functools import lru_cache

from app.codecs.json import decode_surely
from app.codecs.oip.documents import document_of
from app.codecs.oip.header import described
from app.codecs.oip.values import InferRequest
from app.errors import MalformedBody

LONGEST_KNOWN = 1024
"""JSON of so many bytes before tensors is remembered once it was read."""


def read(body: bytes, json_bytes: int | None) -> InferRequest:
    """Read a body to what it asks for; the bytes of its tensors stay where they lie.

    Args:
        body: The whole body, inflated.
        json_bytes: So many bytes at its begin are JSON, none in a raw request; None: all of them.

    Raises:
        MalformedBody: It is no JSON, or has more or fewer bytes behind it than the JSON says.
        InvalidInput: The JSON breaks a rule.
    """
    if json_bytes is None:
        return bound(described(document_of(body)), memoryview(b""))
    if json_bytes == 0:
        return InferRequest(raw=memoryview(body))
    if json_bytes > len(body):
        raise MalformedBody(
            f"The JSON of a body must be a part of it. Received: {json_bytes} bytes of JSON in a body of {len(body)}. Send "
            "the length of the JSON alone in Inference-Header-Content-Length, and the body whole."
        )
    text, rest = body[:json_bytes], memoryview(body)[json_bytes:]
    return bound(known(text) if json_bytes <= LONGEST_KNOWN else described(document_of(text)), rest)


@lru_cache(maxsize=256)
def known(text: bytes) -> InferRequest:
    """Read short JSON: a client's requests mostly have one, again and again."""
    return described(decode_surely(text))


def bound(request: InferRequest, rest: memoryview) -> InferRequest:
    """Give each tensor its bytes, which follow each other in the order of the tensors.

    Raises:
        MalformedBody: There are more or fewer.
    """
    inputs, end = [], 0
    for tensor in request.inputs:
        start, end = end, end + (tensor.size or 0)
        inputs.append(tensor if tensor.size is None else tensor._replace(data=rest[start:end]))
    if end != len(rest):
        raise MalformedBody(
            f"A body must have as many bytes behind its JSON as the binary_data_size of its tensors, {end}. Received: "
            f"{len(rest)}. Send the bytes of every such tensor, and the length of the JSON in Inference-Header-Content-Length."
        )
    return request._replace(inputs=tuple(inputs))
