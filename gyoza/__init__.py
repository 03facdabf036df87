"""Disentangling normalizing flows: layers, inference and files. Importing this package loads no backend."""

__all__ = ["__version__"]

__version__ = "0.1.0"
