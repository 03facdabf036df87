"""Every call of ``tritonclient[http]``, of its plain and its asyncio client, against the service at ``host:port``."""

import asyncio
import sys
from typing import Any

import tritonclient.http as plain
import tritonclient.http.aio as asynchronous
from tritonclient.http.auth import BasicAuth

from tests.clients.scripts.native import case_of
from tests.clients.scripts.recorded import Recorded
from tests.clients.scripts.triton_bodies import apart, at_once
from tests.clients.scripts.triton_calls import refused, value
from tests.clients.scripts.triton_inference import chosen, coded, inferred, many, misused, read

MODELS = ("digits.encode", "digits.factors", "digits.invert")
ENCODE = MODELS[0]
UNKNOWN = "Request for unknown model"
MORE = {"headers": {"X-Test": "1"}, "query_params": {"test_1": 1, "test_2": ["a", "b"]}}
"""Headers and query parameters of a client's own."""
NOT_THERE = {
    "get_cuda_shared_memory_status": (),
    "get_log_settings": (),
    "get_system_shared_memory_status": (),
    "get_trace_settings": (ENCODE,),
    "register_cuda_shared_memory": ("region", b"handle", 0, 4),
    "register_system_shared_memory": ("region", "key", 4),
    "unregister_cuda_shared_memory": (),
    "unregister_system_shared_memory": ("region",),
    "update_log_settings": ({"log_info": True},),
    "update_trace_settings": (ENCODE, {"trace_rate": "1"}),
}
"""Calls of extensions that the server's metadata does not name."""


async def health(client: Any) -> None:
    """Who is there and ready, by name and version."""
    assert await value(client.is_server_live(**MORE))
    assert await value(client.is_server_ready(**MORE))
    for model in MODELS:
        assert await value(client.is_model_ready(model, **MORE))
        assert await value(client.is_model_ready(model, "1"))
    for model in ("nobody.encode", "digits", "digits.decode", "no body/encode"):
        assert not await value(client.is_model_ready(model))
    assert not await value(client.is_model_ready(ENCODE, "9"))


async def metadata(client: Any, address: str) -> None:
    """The server, and of each model the tensors and the configuration, which agree with the native endpoint's."""
    server = await value(client.get_server_metadata(**MORE))
    assert server["name"] == "gyoza"
    assert {"binary_tensor_data", "model_repository", "statistics", "model_configuration"} <= {*server["extensions"]}
    for model in MODELS:
        case = case_of(address, model.partition(".")[2])
        for found in (
            await value(client.get_model_metadata(model, **MORE)),
            await value(client.get_model_metadata(model, "2")),
        ):
            assert (found["name"], found["versions"]) == (model, ["1", "2"])
            assert found["inputs"] == [{"name": case.input, "datatype": "FP32", "shape": [-1, 32]}]
            shapes = {output["name"]: output["shape"] for output in found["outputs"]}
            assert shapes == {name: [-1, *array.shape[1:]] for name, array in case.outputs.items()}
        config = await value(client.get_model_config(model, "1", **MORE))
        assert [tensor["name"] for tensor in config["input"]] == [case.input]
        assert [tensor["name"] for tensor in config["output"]] == [*case.outputs]
        assert config["max_batch_size"] > 0
    for name, version in (("nobody.encode", ""), (ENCODE, "9")):
        await refused(404, UNKNOWN, client.get_model_metadata, name, version)
        await refused(404, UNKNOWN, client.get_model_config, name, version)


async def repository(client: Any) -> None:
    """The index tells every version of every model; loading and unloading, which are off, are refused."""
    index = await value(client.get_model_repository_index(**MORE))
    assert {(item["name"], item["version"]) for item in index} == {
        (name, version) for name in MODELS for version in "12"
    }
    assert {item["state"] for item in index} == {"READY"}
    for name in ("digits", ENCODE):
        await refused(403, "must be switched on", client.load_model, name, **MORE)
        await refused(403, "must be switched on", client.load_model, name, config="{}")
        await refused(403, "must be switched on", client.load_model, name, files={"file:1/a": b"a"})
        await refused(403, "must be switched on", client.unload_model, name, unload_dependents=True)
    assert await value(client.is_model_ready(ENCODE))


async def statistics(client: Any) -> None:
    """What models have done, of all, of one, and of one version; this script's requests are counted."""
    every = (await value(client.get_inference_statistics(**MORE)))["model_stats"]
    assert {item["name"] for item in every} == {*MODELS}
    both = (await value(client.get_inference_statistics(ENCODE)))["model_stats"]
    assert [item["version"] for item in both] == ["1", "2"]
    (one,) = (await value(client.get_inference_statistics(ENCODE, "2", **MORE)))["model_stats"]
    assert one["inference_count"] >= one["execution_count"] > 0
    assert one["inference_stats"]["success"]["ns"] > 0
    await refused(404, UNKNOWN, client.get_inference_statistics, "nobody.encode")


async def not_there(client: Any) -> None:
    """What is not offered is refused in words that the client hands on."""
    for name, arguments in NOT_THERE.items():
        await refused(404, "There is no path /v2/", getattr(client, name), *arguments)


async def plugged(client: Any) -> None:
    """A client's plugin adds a header to each request."""
    client.register_plugin(BasicAuth("name", "password"))
    assert client.plugin() is not None
    assert await value(client.is_model_ready(ENCODE))
    client.unregister_plugin()


async def used(module: Any, client: Any, address: str) -> None:
    """Make the calls that both clients have."""
    await health(client)
    await metadata(client, address)
    await repository(client)
    await inferred(module, client, address)
    await chosen(module, client, address)
    await coded(module, client, address)
    await read(module, client, address)
    await many(module, client, address)
    await misused(module, client)
    apart(client, address)
    await statistics(client)
    await not_there(client)
    await plugged(client)


async def main(address: str) -> None:
    """Go through all of it, once with either client."""
    with plain.InferenceServerClient(address, concurrency=4, connection_timeout=30, network_timeout=30) as own:
        client = Recorded(own)
        await used(plain, client, address)
        at_once(client, address)
        client.close()
        client.check()
    async with asynchronous.InferenceServerClient(address, conn_limit=4, conn_timeout=30) as other:
        client = Recorded(other)
        await used(asynchronous, client, address)
        await client.close()
        client.check()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
