"""A client of the service: NumPy arrays in and out, over HTTP. It needs neither Keras nor the service's own code.

    from gyoza.client import Client, swap

    client = Client("http://127.0.0.1:8000")
    latents = client.examples().latents
    mixed = client.edit(latents[:1], swap("color", latents[1:2])).latents

``AsyncClient`` is the same for asyncio. What can go wrong is drawn as a tree in ``gyoza.client.errors``.
"""

from gyoza.client import edits
from gyoza.client.async_client import AsyncClient
from gyoza.client.axes import Axis
from gyoza.client.client import Client
from gyoza.client.descriptions import Check, Factor, Layout, Model, ModelDetails, Version
from gyoza.client.edits import Edit, blend, sample, scale, shift, swap
from gyoza.client.errors import (
    Conflict,
    ConnectionFailed,
    DeadlineExceeded,
    FieldProblem,
    Forbidden,
    GyozaClientError,
    Internal,
    InvalidInput,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    NotReady,
    NotTrusted,
    Overloaded,
    ProblemError,
    TimedOut,
    TooLarge,
    Unauthorized,
    UnexpectedAnswer,
    UnsendableRequest,
    UnsupportedMediaType,
)
from gyoza.client.results import (
    Change,
    Decoded,
    Edited,
    Embedded,
    Encoded,
    Examples,
    Factors,
    Inverted,
    Result,
    Sampled,
    Traversed,
)
from gyoza.client.retries import Retries

__all__ = [
    "AsyncClient",
    "Axis",
    "Change",
    "Check",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "DeadlineExceeded",
    "Decoded",
    "Edit",
    "Edited",
    "Embedded",
    "Encoded",
    "Examples",
    "Factor",
    "Factors",
    "FieldProblem",
    "Forbidden",
    "GyozaClientError",
    "Internal",
    "InvalidInput",
    "Inverted",
    "Layout",
    "MalformedBody",
    "MethodNotAllowed",
    "Model",
    "ModelDetails",
    "NotFound",
    "NotReady",
    "NotTrusted",
    "Overloaded",
    "ProblemError",
    "Result",
    "Retries",
    "Sampled",
    "TimedOut",
    "TooLarge",
    "Traversed",
    "Unauthorized",
    "UnexpectedAnswer",
    "UnsendableRequest",
    "UnsupportedMediaType",
    "Version",
    "blend",
    "edits",
    "sample",
    "scale",
    "shift",
    "swap",
]
