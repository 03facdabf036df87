"""The models of a folder: models/<name>/<version> → Model, state, reason; loaded at the start, and anew while they serve.

What requests look into is a ``Catalogue``, which never changes: loading puts another one in its place.
"""

from app.repository.control import LOADING, Control, OwnControl
from app.repository.entries import LOADING_RETRY_S, UNLOADED, Entry, Key, Known, State, not_ready
from app.repository.memory import tidy
from app.repository.repository import Repository

__all__ = [
    "LOADING",
    "LOADING_RETRY_S",
    "UNLOADED",
    "Control",
    "Entry",
    "Key",
    "Known",
    "OwnControl",
    "Repository",
    "State",
    "not_ready",
    "tidy",
]
