"""Fields ↔ bytes."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors import SafetensorError
from safetensors.numpy import save

from app.codecs import CODECS
from app.tensors import Form
from gyoza.client.formats import DECODERS, FORMATS, JSON, SAFETENSORS, FormatName

NAMES: tuple[FormatName, ...] = ("safetensors", "json", "lists")
FLOATS = st.sampled_from(["<f2", "<f4", "<f8", ">f4"])


def finite(dtype: str) -> st.SearchStrategy[Any]:
    """Arrays [n, …] of finite numbers."""
    return npst.arrays(
        np.dtype(dtype),
        npst.array_shapes(min_dims=2, max_dims=3, max_side=3),
        elements={"allow_nan": False, "allow_infinity": False},
    )


@pytest.mark.parametrize("name", NAMES)
@given(array=FLOATS.flatmap(finite))
def test_the_service_reads_what_is_written(name: FormatName, array: Any) -> None:
    """In every format the service's own codec makes the same array of a body, whatever its strides and its byte order."""
    format = FORMATS[name]
    codec = CODECS[format.media_type]
    for sent in (array, array[::-1], array.swapaxes(0, 1)):
        fields = codec.decode(format.encode({"latents": sent}))
        found = codec.reader(np.dtype(np.float64))(fields["latents"])
        # Digits of lists are those of the array's own dtype, and no more.
        np.testing.assert_array_equal(found.astype(array.dtype), sent)


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("media_type", [JSON, SAFETENSORS])
@given(array=st.sampled_from(["<f4", "<f8"]).flatmap(finite))
def test_what_the_service_writes_is_read(media_type: str, form: Form, array: Any) -> None:
    """Arrays, factors, numbers a row, model and version come back from the service's own codec, and can be changed."""
    sent = {"model": "tiny", "version": "1", "factors": {"b": array, "a": array[:, :1]}, "logdet": array[:, 0].ravel()}
    found = DECODERS[media_type](CODECS[media_type].encode(sent, form))
    assert (found["model"], found["version"]) == ("tiny", "1")
    assert list(found["factors"]) == ["b", "a"]
    expected = np.float64 if (media_type, form) == (JSON, Form.LISTS) else array.dtype
    for part, whole in ((found["factors"]["b"], array), (found["logdet"], sent["logdet"])):
        np.testing.assert_array_equal(part.astype(array.dtype), whole)
        assert part.dtype == expected
        assert part.flags.writeable


def test_edits_are_written_as_json() -> None:
    """Arrays within lists and objects take the form, and all else is as it is."""
    fields = {"edits": ({"factor": "a", "blend": {"latents": np.ones((1, 2), np.float32), "weight": 0.5}},), "count": 3}
    (edit,) = orjson.loads(FORMATS["json"].encode(fields))["edits"]
    assert edit["blend"]["weight"] == 0.5
    assert edit["blend"]["latents"] == {"dtype": "float32", "shape": [1, 2], "base64": "AACAPwAAgD8="}
    (edit,) = orjson.loads(FORMATS["lists"].encode(fields))["edits"]
    assert edit == {"factor": "a", "blend": {"latents": [[1.0, 1.0]], "weight": 0.5}}


def test_positions_keep_their_digits() -> None:
    """Lists of two axes are float64 also beside tensors of float32; lists of one axis are not."""
    tensor = orjson.loads(FORMATS["json"].encode({"latents": np.ones((1, 1), np.float32)}))["latents"]
    found = DECODERS[JSON](orjson.dumps({"latents": tensor, "positions": [[0.1]], "log_likelihood": {"after": [0.1]}}))
    assert found["positions"].dtype == np.float64
    assert found["log_likelihood"]["after"].dtype == np.float32


def test_numbers_alone_are_float64() -> None:
    """Numbers a row without a tensor beside them have no dtype to take, and other fields are left alone."""
    found = DECODERS[JSON](orjson.dumps({"model": "tiny", "seed": 7, "logdet": [0.1]}))
    assert (found["model"], found["seed"], found["logdet"].dtype) == ("tiny", 7, np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_the_size_of_a_body_is_foreseen(name: FormatName) -> None:
    """A body is never longer than was counted, but for names and shapes."""
    array = -np.random.default_rng(0).standard_normal((100, 100)) * 1e-100
    format = FORMATS[name]
    assert format.size(array) / 2 < len(format.encode({"latents": array})) < format.size(array) + 200


def test_a_broken_file_is_not_read() -> None:
    """What is no safetensors file is an error of the library."""
    with pytest.raises(SafetensorError):
        DECODERS[SAFETENSORS](save({"a": np.ones(3)})[:-1])
