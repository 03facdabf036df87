"""Small examples that run as they are, to learn the library from: ``python -m gyoza.examples.arc``."""

__all__: list[str] = []
