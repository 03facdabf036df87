"""What the library promises of all its public names: listed, typed, documented."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest

import gyoza

MODULES = sorted(module.name for module in pkgutil.walk_packages(gyoza.__path__, "gyoza."))
FRONT = [
    "gyoza.client",
    "gyoza.client.edits",
    "gyoza.data",
    "gyoza.inference",
    "gyoza.inference.checks",
    "gyoza.loading",
    "gyoza.metrics",
    "gyoza.modelling.flow_layers",
    "gyoza.modelling.losses",
    "gyoza.modelling.masks",
    "gyoza.modelling.networks",
]
"""Where people import from."""


ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def public(module: str) -> list[tuple[str, Any]]:
    """The classes and functions that a module offers."""
    found = importlib.import_module(module)
    offered = [(name, getattr(found, name)) for name in found.__all__]
    return [(name, value) for name, value in offered if inspect.isclass(value) or inspect.isfunction(value)]


OFFERED = [pytest.param(value, id=f"{module}.{name}") for module in FRONT for name, value in public(module)]
LAYERS = [
    param for param in OFFERED if str(param.id).startswith(("gyoza.modelling.flow_layers", "gyoza.modelling.masks"))
]


def methods(value: Any) -> list[tuple[str, Any]]:
    """The public methods that a class itself defines, its constructor included; of a function, the function."""
    if inspect.isfunction(value):
        return [(value.__name__, value)]
    own = [(name, getattr(method, "__func__", method)) for name, method in vars(value).items()]
    written = [(name, method) for name, method in own if inspect.isfunction(method) and "gyoza" in method.__module__]
    return [(name, method) for name, method in written if name == "__init__" or not name.startswith("_")]


@pytest.mark.parametrize("module", MODULES)
def test_every_module_lists_its_names(module: str) -> None:
    """A module's ``__all__`` exists, and each name in it."""
    found = importlib.import_module(module)
    assert len(set(found.__all__)) == len(found.__all__)
    assert all(hasattr(found, name) for name in found.__all__)


@pytest.mark.parametrize("value", OFFERED)
def test_public_names_are_typed(value: Any) -> None:
    """Every parameter and every result of a public function or method has its type."""
    for name, method in methods(value):
        signature = inspect.signature(method)
        bare = [
            p.name for p in signature.parameters.values() if p.annotation is p.empty and p.name not in {"self", "cls"}
        ]
        assert not bare, (name, bare)
        generated = name == "__init__" and "__dataclass_fields__" in vars(value)
        assert generated or signature.return_annotation is not signature.empty, name


@pytest.mark.parametrize("value", OFFERED)
def test_public_names_are_documented(value: Any) -> None:
    """Each has a docstring that names its parameters, and gives shapes where it takes or gives arrays."""
    text = inspect.getdoc(value) or ""
    assert text
    is_error = inspect.isclass(value) and issubclass(value, Exception)
    # Python before 3.11.4 sees *args alone where a class inherits its constructor from below Keras' __new__.
    found = {} if is_error else inspect.signature(value).parameters
    parameters = [name for name, each in found.items() if each.kind not in ANY_NUMBER]
    if inspect.isfunction(value) and len(parameters) > 1:
        assert "Args:" in text
    if "Args:" in text:
        missing = [name for name in parameters if not re.search(rf"^\s+\*{{0,2}}{name}:", text, re.MULTILINE)]
        assert not missing


@pytest.mark.parametrize("value", LAYERS)
def test_layers_say_shapes_errors_and_sources(value: Any) -> None:
    """Layers and masks follow Keras' sections, with the paper that they are from and an example that runs."""
    text = inspect.getdoc(value) or ""
    for section in ("Args:", "Input shape:", "Output shape:", "Raises:", "References:", "Example:"):
        assert section in text, section
    assert re.search(r"arXiv:\d{4}\.\d{4,5}|Journal", text)


@pytest.mark.parametrize("module", MODULES)
def test_what_a_module_raises_says_what_came(module: str) -> None:
    """Each ValueError and TypeError that is raised with a text written there ends with what was received, or with the error that it passes on."""
    path = Path(str(importlib.import_module(module).__file__))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            text = ast.unparse(node.exc)
            if text.startswith(("ValueError", "TypeError")) and ("f'" in text or 'f"' in text):
                assert "Received: " in text or "{error}" in text, f"{path.name}:{node.lineno}"
