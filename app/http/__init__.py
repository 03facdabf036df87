"""HTTP/1.1 on connections: uvicorn's, within bounds against slow, huge and rude clients."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

HTTP: Any = import_module("app.http.protocol").Protocol if find_spec("httptools") else "auto"
"""What uvicorn speaks HTTP with. Where there is no httptools, as on PyPy, that is h11 by uvicorn alone."""
