"""Every call of KServe's ``InferenceRESTClient`` against the service at ``host:port``, and its fields in our manifest."""

import asyncio
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml
from kserve import (
    InferenceRESTClient,
    InferInput,
    InferRequest,
    RESTConfig,
    V1beta1InferenceService,
    V1beta1InferenceServiceSpec,
    V1beta1PredictorSpec,
)
from kserve.constants.constants import PredictorProtocol
from kserve.errors import UnsupportedProtocol
from kserve.protocol.infer_type import RequestedOutput

from tests.clients.scripts.native import INPUTS, ROWS, SIZE, Array, Case, case_of
from tests.clients.scripts.recorded import Recorded

MANIFEST = Path(__file__).parents[3] / "deploy" / "kubernetes" / "kserve" / "inference-service.yaml"
MODELS = ("digits.encode", "digits.factors", "digits.invert")
INTEGERS = np.arange(2 * SIZE).reshape(2, SIZE) % 4
LENGTH = "inference-header-content-length"
DATATYPES = {"float16": "FP16", "float64": "FP64", "int32": "INT32", "uint8": "UINT8"}


def more() -> dict[str, Any]:
    """Return headers of a client's own, which it writes into, and its patience."""
    return {"headers": {"X-Test": "1"}, "timeout": 30}


async def refused(status: int, text: str, call: Awaitable[Any]) -> None:
    """Require that a call raises the client's own error, with the server's status and words."""
    error = await error_of(call)
    assert isinstance(error, httpx.HTTPStatusError), f"must be refused with {status}: {text}. Received: {error!r}"
    assert error.response.status_code == status, error
    assert text in str(error), error


async def error_of(call: Awaitable[Any]) -> Exception | None:
    """Return the error that a call raises, the server's or the client's own; None where it raises none."""
    try:
        await call
    except (httpx.HTTPStatusError, UnsupportedProtocol) as error:
        return error
    return None


def tensor(name: str, array: Array, datatype: str = "FP32", *, binary: bool) -> Any:
    """Make an input of rows."""
    found = InferInput(name, list(array.shape), datatype)
    found.set_data_from_numpy(array, binary_data=binary)
    return found


def outputs_of(response: Any) -> dict[str, Array]:
    """Return every output of a response."""
    return {output.name: output.as_numpy() for output in response.outputs}


async def health(client: Any, address: str) -> None:
    """Who is there and ready, below an address with and without a slash at its end."""
    for url in (f"http://{address}", f"http://{address}/"):
        assert await client.is_server_live(url, **more()) is True
        assert await client.is_server_ready(url, **more()) is True
        for model in MODELS:
            assert await client.is_model_ready(url, model, **more()) is True
        for model in ("nobody.encode", "digits"):
            assert await client.is_model_ready(url, model) is False


async def inferred(client: Any, address: str) -> None:
    """The three models of a flow: JSON or bytes there, JSON or bytes back."""
    for operation in INPUTS:
        case = case_of(address, operation)
        for sent in (True, False):
            for answered in (None, True, False):
                parameters = {} if answered is None else {"binary_data_output": answered, "own": "text"}
                request = InferRequest(
                    case.model,
                    [tensor(case.input, case.rows, binary=sent)],
                    request_id="a-1",
                    parameters=parameters,
                )
                headers: dict[str, str] = {}
                found = await client.infer(
                    f"http://{address}", request, model_name=case.model, response_headers=headers, **more()
                )
                assert (found.id, found.model_name) == ("a-1", case.model)
                assert (LENGTH in headers) is bool(answered)
                case.check(outputs_of(found))


async def chosen(client: Any, address: str) -> None:
    """Outputs are those that were asked for, in that order, each as bytes or as JSON as it was asked for."""
    case = case_of(address, "encode")
    outputs = [RequestedOutput("logdet"), RequestedOutput("codes", {"binary_data": True})]
    request = InferRequest(case.model, [tensor("latents", ROWS, binary=True)], request_outputs=outputs)
    headers: dict[str, str] = {}
    found = await client.infer(f"http://{address}", request, model_name=case.model, response_headers=headers)
    assert list(outputs_of(found)) == ["logdet", "codes"]
    assert found.id
    assert LENGTH in headers
    for name, array in outputs_of(found).items():
        np.testing.assert_array_equal(array, case.outputs[name])


async def read(client: Any, address: str) -> None:
    """Other datatypes give what the same numbers give in the flow's."""
    case = case_of(address, "encode", INTEGERS)
    for dtype, datatype in DATATYPES.items():
        for binary in (True, False) if datatype != "FP16" else (True,):
            own = tensor("latents", INTEGERS.astype(dtype), datatype, binary=binary)
            found = await client.infer(f"http://{address}", InferRequest(case.model, [own]), model_name=case.model)
            case.check(outputs_of(found))


async def by_hand(client: Any, address: str) -> None:
    """A request that is a plain dict is answered, also where the client takes the whole address as it is given."""
    case = case_of(address, "encode")
    given = {"name": "latents", "shape": [3, SIZE], "datatype": "FP32", "data": ROWS.tolist()}
    request = {"id": "c-1", "model_name": case.model, "inputs": [given]}
    found = await client.infer(f"http://{address}", request, model_name=case.model)
    case.check(outputs_of(found))
    url = f"http://{address}/v2/models/{case.model}/infer"
    plain = await client.infer(url, request, is_graph_endpoint=True)
    assert (plain["id"], plain["model_version"]) == ("c-1", "2")
    case.check({item["name"]: np.array(item["data"], np.float32).reshape(item["shape"]) for item in plain["outputs"]})


async def misused(client: Any, address: str) -> None:
    """What is refused says what must hold, as the client's own error."""
    case, url = case_of(address, "encode"), f"http://{address}"
    for binary in (True, False):
        own = tensor("latents", ROWS, binary=binary)
        for text, inputs, others in (
            ("must be the one tensor latents", [own, tensor("more", ROWS, binary=binary)], {}),
            ("must be the one tensor latents", [tensor("codes", ROWS, binary=binary)], {}),
            ("must have the shape [n, 32]", [tensor("latents", ROWS[:, :4], binary=binary)], {}),
            ("must have the datatype", [tensor("latents", ROWS > 0, "BOOL", binary=binary)], {}),
            ("must be among codes", [own], {"request_outputs": [RequestedOutput("x")]}),
            ("sequence_id: is not offered", [own], {"parameters": {"sequence_id": 5}}),
        ):
            request = InferRequest(case.model, inputs, **others)
            await refused(400, text, client.infer(url, request, model_name=case.model))
        request = InferRequest(case.model, [own], parameters={"timeout": 1})
        await refused(504, "deadline", client.infer(url, request, model_name=case.model))
        request = InferRequest("nobody.encode", [own])
        await refused(404, "Request for unknown model", client.infer(url, request, model_name="nobody.encode"))
    await refused(400, "latents[0][0]: must be finite", sent_nan(client, url, case))
    # Explaining is no part of the protocol's second version, as the client itself knows.
    assert isinstance(await error_of(client.explain(url, case.model, {})), UnsupportedProtocol)


async def sent_nan(client: Any, url: str, case: Case) -> Any:
    """Send what is not finite."""
    request = InferRequest(case.model, [tensor("latents", ROWS * np.nan, binary=True)])
    return await client.infer(url, request, model_name=case.model)


def check_manifest() -> None:
    """Require that KServe has every field that the InferenceService of ``deploy/`` sets."""
    service = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    spec, predictor = service["spec"], service["spec"]["predictor"]
    kinds = ((service, V1beta1InferenceService), (spec, V1beta1InferenceServiceSpec), (predictor, V1beta1PredictorSpec))
    for part, kind in kinds:
        unknown = set(part) - set(kind.attribute_map.values())
        assert not unknown, f"{kind.__name__} must have the fields that are set. Received: {unknown}"


async def main(address: str) -> None:
    """Go through all of it, with the protocol's second version named in either way."""
    for protocol in ("v2", PredictorProtocol.REST_V2):
        async with InferenceRESTClient(RESTConfig(protocol=protocol, retries=3, timeout=30)) as own:
            client = Recorded(own)
            for part in (health, inferred, chosen, read, by_hand, misused):
                await part(client, address)
            await client.close()
            client.check()


if __name__ == "__main__":
    check_manifest()
    asyncio.run(main(sys.argv[1]))
