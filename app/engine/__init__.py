"""The engine: queues, batches and runs compiled flows."""

from app.engine.engine import Engine

__all__ = ["Engine"]
