"""From the bytes of a body to values that fit its schema, or the words for what does not."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

import numpy as np
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from app.codecs import Codec
from app.codecs.nests import shown
from app.errors import FieldError, InvalidInput
from app.schemas import Body
from app.tensors import Form, TensorError

OBJECTS = MappingProxyType({"dict_type": "must be an object of tensors by name", "model_type": "must be an object"})
"""What must hold where pydantic would speak of Python."""


def parsed(codec: Codec, schema: type[Body], dtype: np.dtype[np.floating[Any]], body: bytes) -> tuple[Body, Form]:
    """Decode a body and check it against its schema; also tell the form that its first tensor had.

    Raises:
        MalformedBody: The bytes can't be decoded.
        InvalidInput: The values break a rule.
    """
    reader = codec.reader(dtype)
    try:
        return schema.model_validate(codec.decode(body), context=reader), reader.form
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise InvalidInput(*(field_error(dict(item), schema) for item in found)) from error


def field_error(item: Mapping[str, Any], schema: type[Body]) -> FieldError:
    """Translate one finding of pydantic in a body of a schema."""
    field = ".".join(map(str, item["loc"])) or "body"
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, TensorError):
        return FieldError(field + "".join(f"[{position}]" for position in cause.index), str(cause))
    if cause is not None:
        return FieldError(field, str(cause))
    if item["type"] == "extra_forbidden":
        return FieldError(field, f"no such field. Fields that exist: {', '.join(names_at(schema, item['loc']))}")
    if item["type"] == "missing":
        return FieldError(field, "missing; it must be given")
    rule = OBJECTS.get(item["type"]) or re.sub("^(Input|List) should", "must", item["msg"])
    return FieldError(field, f"{rule}. Received: {shown(item['input'])}")


def names_at(schema: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """Return the names of the fields that may stand beside a place in a body of a schema."""
    fields = by_alias(schema)
    for name in place[:-1]:
        if name in fields:
            fields = by_alias(next(models_in(fields[str(name)].annotation)))
    return [*fields]


def by_alias(schema: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a schema by the names that they have in a body."""
    return {field.alias or name: field for name, field in schema.model_fields.items()}


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the schemas in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)
