"""Which model a path names."""

import re

from app.api.v2.models import split
from app.repository.finding import MODEL_NAME

NAMED = re.compile(r"((?:/[^/]+)*?)/models/([^/]+)(?:/.*)?", re.DOTALL)
FLOWS = "encode|factors|invert|edit|traverse|sample|latents|decode|examples"
OF_DEFAULT = re.compile(rf"(?:/[^/]+)*?/(?:{FLOWS})", re.DOTALL)
"""What asks the default model."""
OF_LOADED = re.compile(rf"(?:/[^/]+)*?/models/[^/]+(?:/versions/[^/]+)?(?:/(?:{FLOWS}|infer|config))?", re.DOTALL)
"""What can be answered only where the model is loaded; not whether it is ready, and what it has done."""
V2 = "/v2"
METHODS = frozenset({"GET", "POST"})
"""Of these requests a model may have to be loaded; what only looks whether there is anything has others."""


def named_in(path: str) -> str | None:
    """Return the name of the model in a path, with or without the prefix of a proxy; None: there is none, or none can be.

    Example:
        >>> named_in("/models/digits/encode"), named_in("/gyoza/v2/models/digits.encode/infer"), named_in("/encode")
        ('digits', 'digits', None)
    """
    found = NAMED.fullmatch(path)
    if found is None:
        return None
    prefix, name = found.groups()
    if prefix.endswith(V2):
        flow, operation = split(name)
        name = flow if operation else name
    return name if MODEL_NAME.fullmatch(name) else None


def asks_default(path: str) -> bool:
    """Whether a path names no model and means the default one.

    Example:
        >>> asks_default("/encode"), asks_default("/models/digits/encode"), asks_default("/docs")
        (True, False, False)
    """
    return NAMED.fullmatch(path) is None and OF_DEFAULT.fullmatch(path) is not None


def needs_model(method: str, path: str) -> bool:
    """Tell whether a request can be answered only where its model, or the default one, is loaded.

    Example:
        >>> needs_model("POST", "/encode"), needs_model("GET", "/models/digits"), needs_model("GET", "/models/digits/ready")
        (True, True, False)
    """
    return method in METHODS and (OF_LOADED.fullmatch(path) is not None or asks_default(path))
