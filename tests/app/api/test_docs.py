"""The documentation: complete, true, and served from here alone."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Match

from app.api.flows import OPERATIONS
from app.codecs import CODECS
from app.schemas import (
    EditAnswer,
    EncodeAnswer,
    ExamplesAnswer,
    FactorsAnswer,
    FactorsList,
    InvertAnswer,
    LatentsAnswer,
    ModelDetail,
    ModelList,
    OutputsAnswer,
    Problem,
    SampleAnswer,
    TraverseAnswer,
)
from tests.app.worlds import LATENTS, app_of, client_of, put_halves

UNDOCUMENTED = {"/", "/docs", "/explorer/{name}", "/openapi.json"}
README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


async def test_the_page_needs_nobody_else(client: httpx.AsyncClient) -> None:
    """GET /docs is a page that names no outside host, and forbids the browser to ask one."""
    answer = await client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.search(r"https?://|src=|@import", answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
    assert (await client.head("/docs")).status_code == 200


async def test_every_reference_is_there(client: httpx.AsyncClient) -> None:
    """Every $ref of the OpenAPI document leads to a schema in it, and operation ids are unique."""
    answer = await client.get("/openapi.json")
    document = answer.json()
    names = set(re.findall(r'"#/components/schemas/(\w+)"', answer.text))
    assert {"LatentsRequest", "InvertRequest", "EncodeAnswer", "Problem", "ModelDetail"} <= names
    assert names <= set(document["components"]["schemas"])
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


def documented(document: dict[str, Any]) -> set[tuple[str, str]]:
    """Every (method, path) of an OpenAPI document."""
    return {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}


def served(app: FastAPI, paths: set[str]) -> set[tuple[str, str]]:
    """Every (method, path) of these paths that an application answers."""

    def answers(method: str, path: str) -> bool:
        scope = {"type": "http", "method": method, "path": re.sub(r"{\w+}", "1", path), "headers": []}
        return any(route.matches(scope)[0] is Match.FULL for route in app.router.routes)

    methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
    return {(method, path) for path in paths for method in methods if answers(method, path)}


def paths_of(app: FastAPI) -> set[str]:
    """Every path of an application, those of included routers too."""
    routes = [*app.router.routes]
    routes += [inner for route in routes for inner in getattr(getattr(route, "original_router", None), "routes", [])]
    return {route.path for route in routes if hasattr(route, "path")}


async def test_every_endpoint_is_documented(client: httpx.AsyncClient, folder: Path) -> None:
    """What is served stands in the OpenAPI document, what stands there is served, and the README names it."""
    document = (await client.get("/openapi.json")).json()
    app = app_of(folder)
    paths = paths_of(app) - UNDOCUMENTED
    assert len(paths) == (len(OPERATIONS) + 1) * 3 + 8 + 21
    assert served(app, paths) == documented(document)
    below_a_model = re.compile(r"/models/{model}/.+|.+/versions/{version}.*|/v2/repository/{repository}/.+")
    missing = [path for path in {*paths, *UNDOCUMENTED} if not below_a_model.match(path) and f" {path}`" not in README]
    assert missing == ["/explorer/{name}"]  # A part of the page at /.


async def test_answers_are_as_documented(folder: Path) -> None:
    """Every answer fits the schema that documents it."""
    put_halves(folder / "tiny" / "1")
    async with client_of(app_of(folder)) as client:
        await assert_documented(client)


async def assert_documented(client: httpx.AsyncClient) -> None:
    """An answer of each endpoint fits its schema."""
    body = {"latents": LATENTS}
    edit = {**body, "edits": [{"factor": "digit", "sample": {}}]}
    axis = {"factor": "digit", "dimension": 0, "from": -1, "to": 1, "steps": 3}
    for answer, schema in (
        (await client.post("/encode", json=body), EncodeAnswer),
        (await client.post("/factors", json=body), FactorsAnswer),
        (await client.get("/factors"), FactorsList),
        (await client.post("/invert?check=true", json={"codes": LATENTS}), InvertAnswer),
        (await client.post("/edit?decode=true", json=edit), EditAnswer),
        (await client.post("/traverse?decode=true", json={"latents": LATENTS[:1], "axes": [axis]}), TraverseAnswer),
        (await client.post("/sample?decode=true", json={"count": 2}), SampleAnswer),
        (await client.post("/latents", json={"inputs": [[1, 2, 3]]}), LatentsAnswer),
        (await client.post("/decode", json=body), OutputsAnswer),
        (await client.get("/examples"), ExamplesAnswer),
        (await client.get("/models"), ModelList),
        (await client.get("/models/tiny"), ModelDetail),
        (await client.post("/encode", json={}), Problem),
    ):
        assert schema.model_validate(answer.json(), context=lambda value: value)


async def test_both_forms_of_a_tensor_are_shown(client: httpx.AsyncClient) -> None:
    """The schema of a tensor shows nested lists and base64."""
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    forms = schemas["LatentsRequest"]["properties"]["latents"]["oneOf"]
    assert [form["type"] for form in forms] == ["array", "object"]
    assert schemas["LatentsRequest"]["additionalProperties"] is False


async def test_both_media_types_are_shown(client: httpx.AsyncClient) -> None:
    """What a flow takes and answers is shown as JSON and as safetensors, with the names of the tensors."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    operation = paths["/invert"]["post"]
    for body in (operation["requestBody"], operation["responses"]["200"]):
        assert list(body["content"]) == list(CODECS)
    request = operation["requestBody"]["content"]["application/vnd.safetensors"]["schema"]["description"]
    assert request == "safetensors: codes, factors.<name>, each F16, F32 or F64"
    answer = paths["/encode"]["post"]["responses"]["200"]["content"]["application/vnd.safetensors"]["schema"]
    assert "codes, logdet, log_likelihood" in answer["description"]
    assert "model and version as metadata" in answer["description"]
    assert list(paths["/factors"]["get"]["responses"]["200"]["content"]) == ["application/json"]
    assert list(paths["/examples"]["get"]["responses"]["200"]["content"]) == list(CODECS)
    for name in ("edit", "traverse", "sample"):
        assert list(paths[f"/{name}"]["post"]["requestBody"]["content"]) == ["application/json"]


async def test_a_null_is_never_offered(client: httpx.AsyncClient) -> None:
    """What may be left out of a request is not shown as something that may be null, since a null is refused."""
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert list(schemas["InvertRequest"]["properties"]) == ["codes", "factors"]
    for name in ("InvertRequest", "EditRequest", "Edit", "Draw", "Blend", "Axis", "TraverseRequest", "SampleRequest"):
        properties = schemas[name]["properties"]
        assert "null" not in str(properties)
        assert not any("default" in field for field in properties.values())


@pytest.mark.parametrize("prefix", ["", "/gyoza"])
async def test_a_path_prefix_is_told(folder: Path, prefix: str) -> None:
    """Behind a proxy that strips a prefix, the document names the prefix as its server."""
    async with client_of(app_of(folder, root_path=prefix)) as client:
        document = (await client.get("/openapi.json")).json()
        assert (await client.post("/encode", json={"latents": LATENTS})).status_code == 200
    assert document.get("servers", []) == ([{"url": prefix}] if prefix else [])
