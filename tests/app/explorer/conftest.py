"""A browser and a service for the tests of the explorer."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

from gyoza.inference import CompiledFlow, Plan
from gyoza.inference.plan import Affine
from tests.app.explorer.browsers import DESKTOP, MISSING, PATIENCE_MS, Visitor, browsing, executable
from tests.app.servers import ROOT, serving
from tests.app.worlds import put

Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a module, each of which has its own profile in it.

    It keeps an event loop running, beside which no test of another module could run one.
    """
    path = executable()
    if path is None:
        pytest.skip(MISSING)
    with browsing(path) as found:
        yield found


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model, one without a decoder, and one without a factor layout."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(ROOT / "models" / "digits" / "2", folder / "digits" / "2")
    put(folder, "coded", text="coupled", manifest=LAYOUT)
    put(folder, "plain", text="plain")
    put(folder, "image", text="image")
    save_wide(folder / "wide" / "1")
    put(folder, "wrong", text="unproven")
    return folder


LAYOUT = "".join(
    f'[[factors]]\nname = "{name}"\nsize = {size}\n' for name, size in {"residual": 2, "shape": 1, "size": 1}.items()
)


def save_wide(folder: Path) -> None:
    """Save a plan of 100 dimensions, none of which has a name."""
    folder.mkdir(parents=True)
    plan = Plan((Affine(np.full(100, 0.5), np.ones(100)),), (100,), (100,), np.dtype("float32"))
    CompiledFlow(plan).save(folder / "plan.safetensors")


@pytest.fixture(scope="session")
def address(models: Path) -> Iterator[str]:
    """The address of a service of these models."""
    with serving(models, "--default-model", "digits", "--no-strict-readiness") as (_, found, _banner):
        yield f"{found}/"


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """Opens the page as a new visitor; in the end, nobody else was asked for anything, and nothing went wrong."""
    visitors: list[Visitor] = []

    def visit_(
        view: str = "model=digits",
        *,
        at: str = address,
        size: tuple[int, int] = DESKTOP,
        wait: bool = True,
        **options: Any,
    ) -> Visitor:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        context.set_default_timeout(PATIENCE_MS)
        visitor = Visitor(context.new_page(), at)
        visitors.append(visitor)
        visitor.open(view, wait=wait)
        return visitor

    yield visit_
    for visitor in visitors:
        visitor.page.context.close()
        assert visitor.strangers == []
        assert visitor.errors == []
