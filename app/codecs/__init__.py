"""Pure functions between bytes and values, looked up by media type."""

from collections.abc import Mapping
from types import MappingProxyType

from app.codecs import json
from app.codecs.base import Codec

CODECS: Mapping[str, Codec] = MappingProxyType({"application/json": json.CODEC})

__all__ = ["CODECS", "Codec"]
