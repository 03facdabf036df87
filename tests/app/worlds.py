"""Tiny worlds: folders of models whose flows are a step or two, and applications that serve them without Keras."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI
from safetensors.numpy import save_file
from starlette.types import Receive, Scope, Send

from app import cli
from app.commands import serve
from app.errors import UnloadableModel
from app.main import create_app
from app.repository import Repository, State
from app.settings import Settings
from app.workers import supervise
from app.workers.worker import work
from gyoza.inference import CompiledFlow, CompiledHalf, HalfPlan, Plan, write_half
from gyoza.inference.checks import Check, Golden, check_golden
from gyoza.inference.plan import Affine, Coupling, Dense, DenseNetwork, Floats, Gather, Opaque
from gyoza.inference.plan import BoundedAffine as Bounded

SIZE = 4
SCALE = np.array([1.0, 2.0, -0.5, 4.0])
LOCATION = np.array([0.0, 1.0, -1.0, 0.5])
FACTORS = {"residual": 2, "digit": 1, "color": 1}
KERNEL = np.array([[0.5, -0.25, 1.0, 0.0], [0.0, 0.75, -0.5, 0.25], [1.0, 0.5, 0.0, -0.75], [-0.5, 0.0, 0.25, 1.0]])
INPUTS = np.array([[0.0, 0.5, 1.0], [1.0, 0.25, 0.0], [0.5, 0.5, 0.5]], np.float32)
LATENTS = [[0.5, -1.0, 2.0, 0.25], [1.5, 3.0, -0.125, 1.0]]


@dataclass(frozen=True)
class TinyFlow:
    """What the library's loader returns, made without a file."""

    flow: CompiledFlow
    factors: Mapping[str, int] | None = None
    layers: int = 1
    parameters: int = 8
    libraries: Mapping[str, str] = field(default_factory=lambda: {"gyoza": "0"})
    checks: tuple[Check, ...] = (Check("round trip", 1e-7, 1e-3),)
    digest: str | None = None


def affine(dtype: str = "float32", shape: tuple[int, ...] = (SIZE,)) -> CompiledFlow:
    """Y = SCALE · (x − LOCATION), whose logdet is ln 4."""
    return CompiledFlow(Plan((Affine(SCALE, LOCATION),), shape, shape, np.dtype(dtype)))


def coupled() -> CompiledFlow:
    """A flow with a coupling, a gather and an affine step, in float64."""
    network = DenseNetwork((Dense(np.full((2, 4), 0.3), np.full(4, 0.1), "tanh"),))
    coupling = Coupling(np.array([0, 1]), np.array([2, 3]), network, Bounded(1.5))
    steps = (coupling, Gather(np.array([2, 0, 3, 1])), Affine(SCALE, LOCATION))
    return CompiledFlow(Plan(steps, (SIZE,), (SIZE,), np.dtype("float64")))


def one_way() -> CompiledFlow:
    """A flow that inverts to 1e30 times the codes, and so overflows on the way back."""
    steps = (Opaque(lambda rows: (rows * rows.dtype.type(1e30), rows[:, 0]), lambda rows: rows),)
    return CompiledFlow(Plan(steps, (SIZE,), (SIZE,), np.dtype("float32")))


def broken() -> CompiledFlow:
    """A flow with a bug: it fails on anything but zeros."""

    def encode(rows: Floats) -> tuple[Floats, Floats]:
        if rows.any():
            raise RuntimeError("a bug in some step")
        return rows, rows[:, 0]

    return CompiledFlow(Plan((Opaque(encode, lambda rows: rows),), (SIZE,), (SIZE,), np.dtype("float32")))


def say(line: str) -> None:
    """Write a line to the process' output as a whole: lines that several workers print at once mix where Python is unbuffered."""
    os.write(1, f"{line}\n".encode())


def gated(path: Path) -> CompiledFlow:
    """A flow that never runs on the loop, says that it encodes anything but zeros, and waits for a file beside its own.

    It says so in its output, and by another file there.
    """
    gate, begun = path.with_name("gate"), path.with_name("begun")

    def encode(rows: Floats) -> tuple[Floats, Floats]:
        time.sleep(0.01)
        if rows.any():
            say("pass begins")
            begun.touch()
            while not gate.exists():
                time.sleep(0.01)
        return rows, rows[:, 0]

    return CompiledFlow(Plan((Opaque(encode, lambda rows: rows),), (SIZE,), (SIZE,), np.dtype("float32")))


def tiny_loader(path: Path, golden: Golden | None) -> TinyFlow:
    """Make the flow that the file's text names, where the library would read a flow from the file."""
    text = path.read_text()
    flows = {
        "affine": lambda: TinyFlow(affine(), FACTORS),
        "coupled": lambda: TinyFlow(coupled(), FACTORS),
        "broken": lambda: TinyFlow(broken()),
        "gated": lambda: TinyFlow(gated(path)),
        "plain": lambda: TinyFlow(affine()),
        "image": lambda: TinyFlow(affine(shape=(2, 2, 1))),
        "one way": lambda: TinyFlow(one_way()),
        "unproven": lambda: TinyFlow(affine(), checks=(Check("round trip", 0.5, 1e-3),)),
        "too many factors": lambda: TinyFlow(affine(), {"residual": 9}),
    }
    if text == "bug":
        raise RuntimeError("a bug in some layer")
    if text not in flows:
        raise UnloadableModel(f"{path.name} must be a .keras archive")
    loaded = flows[text]()
    return loaded if golden is None else TinyFlow(loaded.flow, checks=(check_golden(loaded.flow, golden),))


def put(folder: Path, name: str = "tiny", version: str = "1", text: str = "affine", manifest: str = "") -> Path:
    """Put a version into a folder of models, and return the version's own folder."""
    path = folder / name / version
    path.mkdir(parents=True)
    (path / "flow.keras").write_text(text)
    if manifest:
        (path / "flow.toml").write_text(manifest)
    return path


def put_halves(path: Path, shape: tuple[int, ...] = (SIZE,), dtype: str = "float32") -> Path:
    """Put an encoder, from 3 inputs, a decoder, to 6 outputs, and examples into a version's folder."""
    for name, half in (("encoder", encoder(shape, dtype)), ("decoder", decoder(shape, dtype))):
        write_half(path / f"{name}.plan.safetensors", half.plan)
    save_file({"latents": encoder(shape, dtype)(INPUTS), "inputs": INPUTS}, path / "examples.safetensors")
    return path


def encoder(shape: tuple[int, ...] = (SIZE,), dtype: str = "float32") -> CompiledHalf:
    """A half from 3 inputs to latents: tanh(x · K + 0.1)."""
    network = DenseNetwork((Dense(KERNEL[:3], np.full(SIZE, 0.1), "tanh"),))
    return CompiledHalf(HalfPlan(network, (3,), shape, np.dtype(dtype)))


def decoder(shape: tuple[int, ...] = (SIZE,), dtype: str = "float32") -> CompiledHalf:
    """A half from latents to 6 outputs: x · K."""
    network = DenseNetwork((Dense(np.concatenate([KERNEL, KERNEL[:, :2]], axis=1), np.zeros(6)),))
    return CompiledHalf(HalfPlan(network, shape, (6,), np.dtype(dtype)))


def loaded(folder: Path, **options: Any) -> Repository:
    """A repository of a folder, with everything loaded."""
    repository = Repository(folder, loader=tiny_loader, max_batch_rows=8, **options)
    repository.load_all()
    return repository


def app_of(folder: Path, **settings: Any) -> FastAPI:
    """An application that serves a folder."""
    return create_app(Settings(models_dir=folder, **{"max_batch_rows": 8, **settings}), tiny_loader)


@asynccontextmanager
async def client_of(app: FastAPI, *, wait: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose lifespan has begun, and whose models are loaded if ``wait``."""
    async with app.router.lifespan_context(app) as state:
        assert state is not None

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            while wait and any(entry.state is State.LOADING for entry in state["services"].repository.entries):
                await asyncio.sleep(0.001)
            yield client


def serve_tiny(arguments: list[str]) -> None:
    """Run the command line as users do, but with the tiny loader."""
    vars(serve).update(
        create_app=lambda settings, **options: create_app(settings, tiny_loader, **options),
        supervise=partial(supervise, command=command_of("work_tiny")),
    )
    cli.main(arguments)


def command_of(name: str, worlds: str = __name__) -> list[str]:
    """Return the command that runs a function of a module, by default of this one."""
    return [sys.executable, "-c", f"from {worlds} import {name}; {name}()"]


def work_tiny() -> None:
    """Be a worker with the tiny loader."""
    work(tiny_loader)


def endless_loader(path: Path, golden: Golden | None) -> TinyFlow:
    """Say that it begins, and never end."""
    say("loading begins")
    threading.Event().wait()
    raise AssertionError(path)


def serve_endlessly(arguments: list[str]) -> None:
    """Run the command line as users do, but with a loader that never ends."""
    vars(serve).update(create_app=lambda settings, **options: create_app(settings, endless_loader, **options))
    cli.main(arguments)


def rows(count: int, seed: int = 0) -> Floats:
    """Latents [count, 4] drawn from N(0, I)."""
    return np.random.RandomState(seed).standard_normal((count, SIZE))
