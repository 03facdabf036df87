"""Pure functions between bytes and values, looked up by media type."""

from collections.abc import Mapping
from types import MappingProxyType

from app.codecs import json, safetensors
from app.codecs.base import Codec

CODECS: Mapping[str, Codec] = MappingProxyType({codec.media_type: codec for codec in (json.CODEC, safetensors.CODEC)})

__all__ = ["CODECS", "Codec"]
