"""The JSON of the Open Inference Protocol as the OpenAPI page shows it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Parameters = dict[str, Any]


class ServerMetadata(BaseModel):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(BaseModel):
    """The process lives."""

    live: Literal[True]


class ServerReady(ServerLive):
    """Every model that must be is ready."""

    ready: Literal[True]


class ModelNames(BaseModel):
    """Every model."""

    models: list[str]


class ModelReady(BaseModel):
    """A model that can be asked."""

    name: str
    ready: Literal[True]


class TensorMetadata(BaseModel):
    """A tensor that a model takes or gives."""

    name: str
    datatype: str
    shape: list[int] = Field(description="-1 stands for any number of rows.")


class ModelMetadata(BaseModel):
    """A model."""

    name: str
    versions: list[str] = Field(description="Those that can be asked.")
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class IndexItem(BaseModel):
    """One version of one model in the repository."""

    name: str
    version: str
    state: Literal["LOADING", "READY", "UNAVAILABLE"]
    reason: str


class Loaded(BaseModel):
    """A model that was loaded."""

    name: str
    load: Literal[True]


class Unloaded(BaseModel):
    """A model that was unloaded."""

    name: str
    unload: Literal[True]


class V2Error(BaseModel):
    """Any error."""

    error: str = Field(description="What must hold, what was received, and what to do.")
    code: str = Field(description="Its kind.")
    request_id: str
    ready: Literal[False] | None = Field(None, description="Where something is not ready.")


class RequestInput(BaseModel):
    """A tensor that is sent: in ``data``, or as ``parameters.binary_data_size`` bytes behind the JSON."""

    name: str
    shape: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    datatype: str
    parameters: Parameters | None = None
    data: list[Any] | None = Field(None, description="Numbers, flat or nested by the shape.")


class RequestOutput(BaseModel):
    """A tensor that is wanted; with ``parameters.binary_data`` as bytes."""

    name: str
    parameters: Parameters | None = None


class InferenceRequest(BaseModel):
    """A request for inference. Members that are not shown are left aside."""

    id: str | None = None
    parameters: Parameters | None = Field(None, description="binary_data_output, timeout (µs).")
    inputs: list[RequestInput] = Field(min_length=1, max_length=1)
    outputs: list[RequestOutput] | None = None


class ResponseOutput(BaseModel):
    """A tensor of an answer: in ``data``, or as ``parameters.binary_data_size`` bytes behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: list[float] | None = None


class InferenceResponse(BaseModel):
    """An answer to a request for inference."""

    id: str
    model_name: str
    model_version: str
    outputs: list[ResponseOutput]
