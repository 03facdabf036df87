"""The inference of ``tritonclient[http]``: what it brings equals the numbers of the service's own endpoints."""

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

from tests.clients.scripts.native import INPUTS, ROWS, SIZE, case_of
from tests.clients.scripts.triton_calls import outputs_of, refused, tensor, value

MODEL = "digits.encode"
CODINGS = (None, "gzip", "deflate")
INTEGERS = np.arange(2 * SIZE).reshape(2, SIZE) % 4
DATATYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


async def inferred(module: Any, client: Any, address: str) -> None:
    """The three models of a flow, by bytes and by JSON, of the highest version and of a named one."""
    for operation in INPUTS:
        for version in ("", "1", "2"):
            case = case_of(address, operation, version=version or "2")
            for binary in (True, False):
                own = [tensor(module, case.input, case.rows, binary=binary)]
                found = await value(client.infer(case.model, own, model_version=version))
                case.check(outputs_of(found))
                head = found.get_response()
                assert (head["model_name"], head["model_version"]) == (case.model, version or "2")
                assert all(output["parameters"]["binary_data_size"] > 0 for output in head["outputs"])


async def chosen(module: Any, client: Any, address: str) -> None:
    """Outputs are those that were asked for, in that order, each as bytes or as JSON as it was asked for."""
    case = case_of(address, "encode")
    wanted = {"logdet": False, "codes": True}
    outputs = [module.InferRequestedOutput(name, binary_data=binary) for name, binary in wanted.items()]
    assert [output.name() for output in outputs] == [*wanted]
    outputs[0].set_shared_memory("region", 12)
    outputs[0].unset_shared_memory()
    found = await value(client.infer(MODEL, [tensor(module, "latents", ROWS)], outputs=outputs))
    assert list(outputs_of(found)) == [*wanted]
    for name, binary in wanted.items():
        np.testing.assert_array_equal(found.as_numpy(name), case.outputs[name])
        assert ("data" in found.get_output(name)) is not binary
    assert found.as_numpy("log_likelihood") is None


async def coded(module: Any, client: Any, address: str) -> None:
    """Compressed or not, with all that a request may say besides: the id comes back, the rest changes nothing."""
    case = case_of(address, "encode")
    for binary in (True, False):
        outputs = [module.InferRequestedOutput(name, binary_data=binary) for name in case.outputs]
        for coding in CODINGS:
            found = await value(
                client.infer(
                    MODEL,
                    [tensor(module, "latents", ROWS, binary=binary)],
                    outputs=outputs,
                    request_id="a-1 é",
                    priority=1,
                    timeout=30_000_000,
                    headers={"X-Test": "1"},
                    query_params={"test_1": 1, "test_2": ["a", "b"]},
                    request_compression_algorithm=coding,
                    response_compression_algorithm=coding,
                    parameters={"own": "text", "other": 1, "third": True},
                )
            )
            assert found.get_response()["id"] == "a-1 é"
            case.check(outputs_of(found))


async def read(module: Any, client: Any, address: str) -> None:
    """Every datatype of numbers is read, and gives what the same numbers give in the flow's."""
    case = case_of(address, "encode", INTEGERS)
    for datatype in map(np.dtype, (*DATATYPES, ml_dtypes.bfloat16)):
        for binary in (True, False) if datatype != ml_dtypes.bfloat16 else (True,):
            own = tensor(module, "latents", INTEGERS.astype(datatype), binary=binary)
            assert (own.name(), own.shape()) == ("latents", [*INTEGERS.shape]), own.datatype()
            case.check(outputs_of(await value(client.infer(MODEL, [own]))))


async def many(module: Any, client: Any, address: str) -> None:
    """More rows than a pass takes, by bytes and by compressed JSON."""
    case = case_of(address, "encode", np.tile(ROWS, (1000, 1)))
    for binary, coding in ((True, None), (False, "gzip")):
        outputs = [module.InferRequestedOutput(name, binary_data=binary) for name in case.outputs]
        codings = {"request_compression_algorithm": coding, "response_compression_algorithm": coding}
        own = [tensor(module, "latents", case.rows, binary=binary)]
        case.check(outputs_of(await value(client.infer(MODEL, own, outputs=outputs, **codings))))


async def misused(module: Any, client: Any) -> None:
    """What is refused says what must hold, as the client's own error."""
    own, text = tensor(module, "latents", ROWS), "Request for unknown model"
    for rule, inputs in wrong_inputs(module):
        await refused(400, rule, client.infer, MODEL, inputs)
    for rule, options in wrong_options(module):
        await refused(400, rule, client.infer, MODEL, [own], **options)
    for model, version in (("nobody.encode", ""), ("digits", ""), (MODEL, "9")):
        await refused(404, text, client.infer, model, [own], model_version=version)
    await refused(504, "deadline", client.infer, MODEL, [own], timeout=1)


def wrong_inputs(module: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield the rule that inputs break, and the inputs."""
    one, several = tensor(module, "latents", ROWS), "must be the one tensor latents"
    yield several, [one, tensor(module, "more", ROWS)]
    yield several, [one, one]
    yield several, [tensor(module, "codes", ROWS)]
    yield several, []
    yield "is not offered", [module.InferInput("latents", [3, SIZE], "FP32").set_shared_memory("region", 384)]
    yield "latents[0][0]: must be finite", [tensor(module, "latents", ROWS * np.float32("nan"))]
    yield "latents[0][0]: must be finite", [tensor(module, "latents", 1e39 + ROWS.astype(np.float64))]
    yield "to be exact in float32", [tensor(module, "latents", INTEGERS + 2**24)]
    for binary in (True, False):
        yield "must have the shape [n, 32]", [tensor(module, "latents", ROWS[:, :4], binary=binary)]
        yield "must have the shape [n, 32]", [tensor(module, "latents", ROWS[0], binary=binary)]
        yield "must hold at least one row", [tensor(module, "latents", ROWS[:0], binary=binary)]
        yield "must have the datatype", [tensor(module, "latents", ROWS > 0, binary=binary)]
        yield "must have the datatype", [tensor(module, "latents", np.full((3, SIZE), "1", np.object_), binary=binary)]


def wrong_options(module: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rule that options of a request break, and the options."""
    kept = module.InferRequestedOutput("codes")
    kept.set_shared_memory("region", 384)
    yield "is not offered", {"outputs": [kept]}
    yield "classification: is not offered", {"outputs": [module.InferRequestedOutput("codes", class_count=2)]}
    yield "must be among codes", {"outputs": [module.InferRequestedOutput("nothing")]}
    yield "sequence_id: is not offered", {"sequence_id": 5, "sequence_start": True}
    yield "sequence_id: is not offered", {"sequence_id": "a", "sequence_end": True}
