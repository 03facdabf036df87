"""Wire formats say what they are given, to a server and back."""

from typing import Any

import numpy as np
import orjson
import pytest
import safetensors.numpy

from benchmarks.flows.specs import Floats
from benchmarks.service.formats import FORMATS, LENGTH, dump_safetensors, load_safetensors

RANDOM = np.random.default_rng(0)
ARRAYS: dict[str, Floats] = {
    "codes": RANDOM.standard_normal((3, 4)).astype(np.float32),
    "logdet": RANDOM.standard_normal(3).astype(np.float32),
}


@pytest.mark.parametrize("form", ["json", "base64", "safetensors"])
def test_a_body_is_read_as_it_was_written(form: str) -> None:
    """What a client builds, its parser reads back to the bit: our service answers in the form of the request."""
    _, body = FORMATS[form].build(ARRAYS)
    found = FORMATS[form].parse({}, body)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


def test_safetensors_are_those_of_the_library() -> None:
    """What is written by hand the library reads, and the other way round; metadata is passed over."""
    np.testing.assert_array_equal(safetensors.numpy.load(dump_safetensors(ARRAYS))["codes"], ARRAYS["codes"])
    written = safetensors.numpy.save(ARRAYS, metadata={"model": "any"})
    np.testing.assert_array_equal(load_safetensors(written)["logdet"], ARRAYS["logdet"])


def test_an_answer_in_the_open_inference_protocol_is_read() -> None:
    """Tensors in JSON come back in their shapes."""
    outputs = [{"name": name, "shape": array.shape, "data": array.ravel().tolist()} for name, array in ARRAYS.items()]
    found = FORMATS["v2-json"].parse({}, orjson.dumps({"outputs": outputs}))
    np.testing.assert_array_equal(found["codes"], ARRAYS["codes"])


def test_a_binary_answer_in_the_open_inference_protocol_is_read() -> None:
    """Tensors behind the JSON come back in order."""
    blobs = [array.tobytes() for array in ARRAYS.values()]
    outputs = [
        {"name": name, "shape": array.shape, "parameters": {"binary_data_size": len(blob)}}
        for (name, array), blob in zip(ARRAYS.items(), blobs, strict=True)
    ]
    head = orjson.dumps({"outputs": outputs})
    found = FORMATS["v2-binary"].parse({LENGTH.lower(): str(len(head))}, head + b"".join(blobs))
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("form", ["v2-json", "v2-binary"])
def test_a_request_in_the_open_inference_protocol_names_its_tensors(form: str) -> None:
    """The JSON part of a request describes the tensor; the binary one is as long as it says."""
    headers, body = FORMATS[form].build({"latents": ARRAYS["codes"]})
    size = int(headers.get(LENGTH, len(body)))
    (described,) = orjson.loads(body[:size])["inputs"]
    expected: dict[str, Any] = {"name": "latents", "shape": [3, 4], "datatype": "FP32"}
    assert described.items() >= expected.items()
    assert len(body) - size == described.get("parameters", {}).get("binary_data_size", 0)


def test_a_joined_answer_is_parted() -> None:
    """The last column is the logdet."""
    joined = np.concatenate([ARRAYS["codes"], ARRAYS["logdet"][:, None]], axis=1)
    found = FORMATS["joined-json"].parse({}, orjson.dumps(joined.tolist()))
    np.testing.assert_array_equal(found["codes"], ARRAYS["codes"])
    np.testing.assert_array_equal(found["logdet"], ARRAYS["logdet"])
