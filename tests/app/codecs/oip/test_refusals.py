"""Requests of the Open Inference Protocol that break a rule, and the words for it."""

import json
from typing import Any

import numpy as np
import pytest

from app.codecs import oip
from app.errors import GyozaError, InvalidInput, MalformedBody

GOOD = {"name": "t", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
F32 = np.dtype(np.float32)


def refusal(body: bytes, json_bytes: int | None = None, dtype: Any = np.float32) -> GyozaError:
    """The error that a body is refused with."""
    with pytest.raises(GyozaError) as caught:
        arrays_of(body, json_bytes, np.dtype(dtype))
    return caught.value


def arrays_of(body: bytes, json_bytes: int | None, dtype: np.dtype[Any]) -> list[np.ndarray[Any, Any]]:
    """The arrays of a body."""
    return [oip.array_of(tensor, dtype) for tensor in oip.read(body, json_bytes).inputs]


MEMBERS = [
    ({"inputs": {}}, "inputs: must be a list with an object a tensor. Received: an object"),
    ({"inputs": [1]}, "inputs[0]: must be an object. Received: 1"),
    ({"id": 1}, "id: must be a text of Unicode characters. Received: 1"),
    ({"id": "\ud800"}, "id: must be a text of Unicode characters"),
    ({"outputs": [GOOD, {}]}, "outputs[1].name: must be a text, another one for each output. Received: null"),
    ({"outputs": [GOOD, GOOD]}, "outputs[1].name: must be a text, another one for each output. Received: 't'"),
    ({"outputs": [{"name": "t", "parameters": {"binary_data": 1}}]}, "outputs[0].parameters.binary_data: must be true"),
    ({"outputs": [{"name": "t", "parameters": {"classification": 2}}]}, "classification: is not offered here"),
    ({"parameters": [1]}, "parameters: must be an object. Received: a list"),
    ({"parameters": {"binary_data_output": "yes"}}, "parameters.binary_data_output: must be true or false"),
    ({"parameters": {"timeout": -1}}, "parameters.timeout: must be microseconds as an integer of 0 or more"),
    ({"parameters": {"timeout": 1.5}}, "parameters.timeout: must be microseconds"),
    ({"parameters": {"timeout": True}}, "parameters.timeout: must be microseconds"),
    ({"parameters": {"sequence_id": 5}}, "parameters.sequence_id: is not offered here; leave it out"),
    ({"parameters": {"triton_x": 5}}, "parameters.triton_x: is not offered here"),
]


@pytest.mark.parametrize(("members", "text"), MEMBERS)
def test_members_that_break_a_rule(members: dict[str, Any], text: str) -> None:
    """A member of a wrong type, or that asks for what is not done here, is refused by its name."""
    error = refusal(json.dumps({"inputs": [GOOD], **members}).encode())
    assert isinstance(error, InvalidInput)
    assert text in str(error)


TENSORS: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "inputs[0].name: must be a text. Received: null"),
    ({"datatype": 3}, "inputs[0].datatype: must be a text. Received: 3"),
    ({"shape": 2}, "inputs[0].shape: must be a list of integers of 0 or more. Received: 2"),
    ({"shape": [1, -2]}, "inputs[0].shape: must be a list of integers"),
    ({"shape": [True, 2]}, "inputs[0].shape: must be a list of integers"),
    ({"data": None}, "inputs[0]: must have either data, or parameters.binary_data_size"),
    ({"parameters": {"binary_data_size": 8}}, "and so many bytes behind the JSON. Received: 'both'"),
    (
        {"data": None, "parameters": {"binary_data_size": -1}},
        "inputs[0].parameters.binary_data_size: must be an integer of 0 or more. Received: -1",
    ),
    ({"parameters": {"shared_memory_region": "x"}}, "inputs[0].parameters.shared_memory_region: is not offered"),
    ({"datatype": "BOOL"}, "t: must have the datatype FP16, FP32, FP64, BF16, INT8"),
    ({"datatype": "BYTES"}, "Received: BYTES"),
    ({"shape": []}, "t: must hold at least one row and one number in it. Received: shape []"),
    ({"shape": [0, 2], "data": []}, "t: must hold at least one row"),
    ({"shape": [1] * 33}, "t: must have at most 32 axes. Received: 33"),
    ({"data": "12"}, "t: must have a list of numbers as its data. Received: '12'"),
    ({"data": []}, "t: must hold at least one row and one number in it. Received: an empty list"),
    ({"data": [1]}, "t: must have 2 numbers as its data, flat or nested by its shape [1, 2]. Received: data of [1]"),
    ({"data": [[1], [2]]}, "Received: data of [2, 1]"),
    ({"data": [[1, 2], [3]], "shape": [2, 2]}, "t[1]: must have 2 entries, as the ones before it. Received: 1"),
    ({"data": [1, "2"]}, "t[0][1]: must be a number. Received: '2'"),
    ({"data": [1, True]}, "t[0][1]: must be a number. Received: true"),
    ({"data": [1, 2, "3"]}, "t[2]: must be a number"),
    ({"data": [[1, None]]}, "t[0][1]: must be a number. Received: null"),
    ({"data": [1, 1e39]}, "t[0][1]: must be finite in float32. Received: 1e+39"),
    ({"data": [1, float("nan")]}, "t[0][1]: must be finite in float32. Received: nan"),
    ({"data": [[float("-inf"), 1]]}, "t[0][0]: must be finite in float32. Received: -inf"),
    ({"data": [1, 7e4], "datatype": "FP16"}, "t[0][1]: must be finite in float16. Received: 70000.0"),
    ({"data": [1, 300], "datatype": "UINT8"}, "t[0][1]: must be an integer from 0 to 255. Received: 300.0"),
    ({"data": [-1, 3], "datatype": "UINT8"}, "t[0][0]: must be an integer from 0 to 255. Received: -1.0"),
    ({"data": [1, 1.5], "datatype": "INT32"}, "t[0][1]: must be an integer from -2147483648 to"),
    ({"data": [2**24, 1], "datatype": "INT64"}, "t[0][0]: must be an integer below 16777216, to be exact in float32"),
]


@pytest.mark.parametrize(("members", "text"), TENSORS)
def test_tensors_that_break_a_rule(members: dict[str, Any], text: str) -> None:
    """A tensor that breaks a rule is refused by its name and the first index at fault."""
    error = refusal(json.dumps({"inputs": [{**GOOD, **members}]}).encode())
    assert isinstance(error, InvalidInput)
    assert text in str(error)


@pytest.mark.parametrize(
    ("value", "text"), [(1e300, "finite in float32. Received: 1e+300"), ("x", "a number. Received: 'x'")]
)
@pytest.mark.parametrize("nested", [True, False])
def test_large_tensors_that_break_a_rule(value: Any, text: str, nested: bool) -> None:
    """The same holds of what the quick way is for, whether it ends there or not."""
    data: list[Any] = [0.5] * 4096
    data[130] = value
    numbers = [data[row * 64 : row * 64 + 64] for row in range(64)] if nested else data
    error = refusal(json.dumps({"inputs": [{**GOOD, "shape": [64, 64], "data": numbers}]}).encode())
    assert f"t[2][2]: must be {text}" in str(error)


BYTES = {"name": "t", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}


@pytest.mark.parametrize(
    ("tensors", "blobs", "text"),
    [
        ([BYTES], b"1234567", "as the binary_data_size of its tensors, 8. Received: 7"),
        ([BYTES], b"123456789", "8. Received: 9"),
        ([BYTES, BYTES], bytes(8), "16. Received: 8"),
        ([GOOD], b"1", "its tensors, 0. Received: 1"),
    ],
)
def test_bytes_that_do_not_fit(tensors: list[Any], blobs: bytes, text: str) -> None:
    """More or fewer bytes than the JSON says make a malformed body."""
    head = json.dumps({"inputs": tensors}).encode()
    error = refusal(head + blobs, len(head))
    assert isinstance(error, MalformedBody)
    assert text in str(error)


def test_bytes_without_the_header() -> None:
    """A tensor in bytes of which no header tells is missing."""
    assert "8. Received: 0" in str(refusal(json.dumps({"inputs": [BYTES]}).encode()))


@pytest.mark.parametrize(
    ("body", "json_bytes", "text"),
    [
        (b"{}", 3, "3 bytes of JSON in a body of 2"),
        (b"{", None, "must be JSON"),
        (b"{", 1, "must be JSON"),
        (b"[1]", None, "must be a JSON object"),
        (b'{"inputs": [], "inputs": []}', None, "must be given once"),
    ],
)
def test_bodies_that_are_no_requests(body: bytes, json_bytes: int | None, text: str) -> None:
    """What is no JSON object, or less than the header says, is refused."""
    assert text in str(refusal(body, json_bytes))


def test_a_size_that_is_not_the_shapes() -> None:
    """Bytes of another count than shape and datatype need are refused by the tensor's name."""
    head = json.dumps({"inputs": [{**BYTES, "shape": [1, 3]}]}).encode()
    error = refusal(head + bytes(8), len(head))
    assert "t: of shape [1, 3] and datatype FP32 must have 12 bytes. Received: 8" in str(error)


@pytest.mark.parametrize(("dtype", "text"), [("f4", "float32"), ("f8", "float16")])
def test_bytes_that_are_not_finite(dtype: str, text: str) -> None:
    """The first entry that is not finite is named, be it so as it came or once it is cast."""
    array = np.array([[1, 2], [3, np.inf if dtype == "f4" else 1e30]], dtype)
    datatype = {"f4": "FP32", "f8": "FP64"}[dtype]
    tensor = oip.Input("t", datatype, (2, 2), memoryview(array.tobytes()), array.nbytes)
    with pytest.raises(InvalidInput, match=rf"t\[1\]\[1\]: must be finite in {text}"):
        oip.array_of(tensor, np.dtype(text))


def test_brain_floats_are_read() -> None:
    """BF16 is the upper half of an FP32; in JSON it is a number as any other."""
    array = np.array([[1.5, -2.0, 0.0078125]], np.float32)
    halves = (array.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    for data in (memoryview(halves), [1.5, -2.0, 0.0078125]):
        np.testing.assert_array_equal(oip.array_of(oip.Input("t", "BF16", (1, 3), data), F32), array)


def test_a_raw_request_is_rows() -> None:
    """Bytes alone are as many rows as they fill; a part of a row, or none, is refused."""
    array = np.arange(8, dtype=np.float64)
    request = oip.read(array.tobytes(), 0)
    assert request.raw is not None
    found = oip.array_of_raw("latents", request.raw, (2, 2), np.dtype(np.float64))
    np.testing.assert_array_equal(found, array.reshape(2, 2, 2))
    for size in (0, 8, 33):
        with pytest.raises(
            InvalidInput, match=rf"latents: must be raw rows of 4 FP64, 32 bytes each. Received: {size}"
        ):
            oip.array_of_raw("latents", memoryview(bytes(size)), (2, 2), np.dtype(np.float64))


def test_what_is_wanted() -> None:
    """What an output says of itself counts before what the request says; nothing said is all of them."""
    known = ("codes", "logdet")
    outputs = (oip.Output("logdet", binary=False), oip.Output("codes"))
    assert oip.InferRequest().wanted(known) == {"codes": False, "logdet": False}
    assert oip.InferRequest(binary=True).wanted(known) == {"codes": True, "logdet": True}
    assert list(oip.InferRequest(outputs=outputs, binary=True).wanted(known).items()) == [
        ("logdet", False),
        ("codes", True),
    ]
    assert oip.InferRequest(outputs=outputs[1:]).wanted(known) == {"codes": False}
    assert oip.InferRequest(raw=memoryview(b"")).wanted(known) == {"codes": True, "logdet": True}
    with pytest.raises(InvalidInput, match=r"outputs: must be among codes\. Received: logdet"):
        oip.InferRequest(outputs=outputs).wanted(("codes",))


@pytest.mark.parametrize(("timeout", "seconds"), [(0, None), (None, None), (1500, 0.0015), (2**63 - 1, 1e9)])
def test_a_timeout_is_in_microseconds(timeout: int | None, seconds: float | None) -> None:
    """0 stands for none, and any number can be given."""
    request = oip.read(json.dumps({"inputs": [], "parameters": {"timeout": timeout}}).encode(), None)
    assert request.timeout_s == (None if seconds is None else pytest.approx(seconds))


def test_what_nobody_knows_is_left_aside() -> None:
    """Members and parameters that nobody knows, nulls, and what is asked for by 0 or false, change nothing."""
    parameters = {"sequence_id": 0, "sequence_start": False, "x": 1, "priority": 1}
    body = {"model_name": "t", "id": None, "inputs": [{**GOOD, "parameters": None}], "outputs": None}
    request = oip.read(json.dumps({**body, "parameters": parameters}).encode(), None)
    assert request._replace(inputs=()) == oip.InferRequest()
