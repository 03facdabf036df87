"""Where a request goes, as far as more than one part of the API must know."""

import re

from starlette.types import Scope

V2 = "/v2"
"""Below it the Open Inference Protocol is spoken, which has its own shape of errors."""
BELOW_V2 = re.compile(rf"{V2}(?:/.*)?", re.DOTALL)


def path_of(scope: Scope) -> str:
    """Return a request's path behind the prefix that a proxy stripped."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def is_v2(scope: Scope) -> bool:
    """Whether a request speaks the Open Inference Protocol."""
    return BELOW_V2.fullmatch(path_of(scope)) is not None
