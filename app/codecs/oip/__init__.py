"""The Open Inference Protocol v2 as bytes: JSON, behind which the bytes of tensors may lie. It knows no HTTP."""

from app.codecs.oip.answers import Head, Written, written
from app.codecs.oip.arrays import array_of, array_of_raw
from app.codecs.oip.datatypes import NAMES
from app.codecs.oip.reading import read
from app.codecs.oip.values import InferRequest, Input, Output

__all__ = ["NAMES", "Head", "InferRequest", "Input", "Output", "Written", "array_of", "array_of_raw", "read", "written"]
