"""Log lines on standard error, for people or for machines; never the content of a tensor."""

from app.logs.configuration import configure_logging

__all__ = ["configure_logging"]
