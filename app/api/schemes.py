"""How the OpenAPI document tells of keys."""

from typing import Any

from app.api.doors import Doors
from app.api.error_handlers import KINDS
from app.api.openapi import problems
from app.errors import Unauthorized

SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer KEY"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "X-API-Key: KEY"},
}


def tell_of_keys(document: dict[str, Any], doors: Doors) -> None:
    """Add to a document the ways to send a key, and to each operation that needs one that it does."""
    document["components"]["securitySchemes"] = SCHEMES
    for path, methods in document["paths"].items():
        if doors.need_key(path):
            for operation in methods.values():
                operation["security"] = [{name: []} for name in SCHEMES]
                if "default" not in operation["responses"]:
                    operation["responses"] |= problems([KINDS[Unauthorized].status])
