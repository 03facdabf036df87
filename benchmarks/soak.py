"""Keep a real server saturated for minutes: every answer is compared, and memory is read every ten seconds.

``python -m benchmarks.soak --minutes 10`` stops by itself. It leaves with code 1 if an answer was wrong, a status was
neither 200 nor 429 (a full queue), code was traced anew, or the server ended.
"""

import json
import shutil
import signal
import sys
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.compute.rounds import run_python
from benchmarks.flows.specs import CALLED, CALLED_ANSWERS, FLOWS, ROOT, WORK
from benchmarks.machine import machine, versions
from benchmarks.report.markdown import number, table
from benchmarks.service.apps.common import HOST
from benchmarks.service.processes import Memory, Server
from benchmarks.service.requests import free_port, post
from benchmarks.service.servers import gyoza
from benchmarks.service.soaking import FORMS, SIZES, Case, Clients, Recorded, Tally, cases_of
from benchmarks.service.startup import ready_by_readyz
from gyoza.inference import load_plan

RESULTS = ROOT / "benchmarks" / "results"
MODELS = ("tiny-affine", "small-additive")
EXPECTED = {200, 429}
EVERY_S = 10.0
SETTLED_S = 60.0
"""Memory that grows after this long is a leak, if it goes on."""
START_LIMIT_S = 120.0


@dataclass(frozen=True)
class Sample:
    """What was read at one time."""

    seconds: float
    answers: int
    memory: Memory


def main(
    minutes: Annotated[float, typer.Option(min=0.05, help="How long.")] = 10,
    clients: Annotated[int, typer.Option(min=1, help="How many ask at once.")] = 16,
    name: Annotated[str, typer.Option(help="Name of the files in benchmarks/results.")] = "soak",
) -> None:
    """Keep a real server saturated, and compare every answer."""
    # The server is ended by its with block, also where this process is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run_python("benchmarks.flows.building", *MODELS)
    run_python("benchmarks.flows.called")
    port = free_port()
    with Server(gyoza(port, models_folder()), WORK / "logs" / "soak.log") as server:
        cases = [case for model in MODELS for case in cases_for(model)] + cases_for_called()
        wait(server, port)
        spoken = [case for case in cases if case.form in spoken_forms(port, cases)]
        outcome = soak(server, port, spoken, minutes * 60, clients)
    keep(outcome, name)
    raise typer.Exit(0 if outcome["right"] else 1)


def models_folder() -> Path:
    """Return a folder with all models: a ``.keras`` file, a plan, and a ``.keras`` file of which a plan calls parts."""
    folder = WORK / "soak-models"
    first, second = (FLOWS[model] for model in MODELS)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(second.plan_models, folder)
    shutil.copyfile(first.keras_file, folder / f"{first.name}.keras")
    shutil.copyfile(CALLED, folder / CALLED.name)
    return folder


def cases_for(model: str) -> list[Case]:
    """Return all requests for a model, with the answers of its compiled flow."""
    latents = np.random.default_rng(11).standard_normal((max(SIZES), FLOWS[model].dimensions)).astype(np.float32)
    return cases_of(model, load_plan(FLOWS[model].plan_file), latents)


def cases_for_called() -> list[Case]:
    """Return all requests for the model that no plan file holds, with the answers of its layers."""
    with np.load(CALLED_ANSWERS) as file:
        latents, *recorded = (file[name] for name in ("latents", "codes", "logdet", "returned"))
    return cases_of(CALLED.stem, Recorded(*recorded), latents)


def wait(server: Server, port: int) -> None:
    """Wait until every model is ready.

    Raises:
        TimeoutError: They are not ready in time.
    """
    while not ready_by_readyz(port, server.log):
        if not server.alive or time.perf_counter() > server.began + START_LIMIT_S:
            raise TimeoutError(f"the server must be ready within {START_LIMIT_S:.0f} s, and was not")
        time.sleep(0.1)


def spoken_forms(port: int, cases: list[Case]) -> set[str]:
    """Return the wire formats that the service speaks."""
    probes = {form: next(case for case in cases if case.form == form) for form in FORMS}
    return {form for form, case in probes.items() if post(port, case.request).status != 415}


def soak(server: Server, port: int, cases: list[Case], seconds: float, count: int) -> dict[str, Any]:
    """Let the clients ask, look at the server meanwhile, and return what was found."""
    before, used, begin = traces_of(port), server.cpu_seconds(), time.monotonic()
    asking = Clients(port, cases, seconds, count)
    samples = [sample(server.memory(), 0.0, asking.tally)]
    while asking.wait(EVERY_S) and server.alive:
        samples.append(sample(server.memory(), time.monotonic() - begin, asking.tally))
        typer.echo(f"[{samples[-1].seconds:4.0f} s] {told(samples[-1], asking.tally)}")
    samples.append(sample(server.memory(), time.monotonic() - begin, asking.tally))
    passed = time.monotonic() - begin
    after = traces_of(port) if server.alive else None
    tally = asking.tally
    return {
        **machine(),
        **versions(),
        "seconds": round(passed),
        "clients": count,
        "formats": sorted({case.form for case in cases}),
        "server CPUs": round((server.cpu_seconds() - used) / passed, 2),
        "statuses": {str(status): times for status, times in sorted(tally.statuses.items())},
        "rows/s": round(tally.rows / passed),
        "wrong": tally.wrong,
        "told": tally.told,
        "traces before, after": [before, after],
        "growth after the first minute, MiB": growth(samples),
        "samples": [asdict(found) for found in samples],
        "right": before == after and not tally.wrong and set(tally.statuses) <= EXPECTED and tally.statuses[200] > 0,
    }


def sample(memory: Memory, seconds: float, tally: Tally) -> Sample:
    """Put together what was read at one time."""
    return Sample(seconds, tally.statuses.total(), memory)


def told(found: Sample, tally: Tally) -> str:
    """Tell in a line how it goes."""
    statuses = ", ".join(f"{times} × {status}" for status, times in sorted(tally.statuses.items()))
    return f"{statuses}; {tally.wrong} wrong; {found.memory.held_mib:.1f} MiB (PSS {found.memory.pss_mib:.1f})"


def growth(samples: list[Sample]) -> float | None:
    """Return by how much the memory grew after the first minute; None where it took no longer."""
    settled = [found.memory.held_mib for found in samples if found.seconds >= SETTLED_S]
    return settled[-1] - settled[0] if len(settled) > 1 else None


def traces_of(port: int) -> int:
    """Return how often code that the plans call was traced, by what the service tells of its models."""
    return sum(int(get(port, f"/models/{model}")["traces"]) for model in (*MODELS, CALLED.stem))


def get(port: int, path: str) -> Any:
    """Return the JSON that a GET answers."""
    with closing(HTTPConnection(HOST, port, timeout=30)) as connection:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())


def keep(outcome: dict[str, Any], name: str) -> None:
    """Keep the outcome, and print it."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
    text = written(outcome)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    typer.echo(f"\n{text}")


def written(outcome: dict[str, Any]) -> str:
    """Return the outcome in Markdown."""
    facts = [f"- {name}: {value}" for name, value in outcome.items() if name != "samples"]
    values = ([found["seconds"], found["answers"], *found["memory"].values()] for found in outcome["samples"])
    rows = (list(map(number, line)) for line in values)
    head = ["seconds", "answers", "memory MiB", "PSS MiB", "RSS MiB"]
    return "\n".join(facts) + "\n\n" + table(head, rows, text_columns=0) + "\n"


if __name__ == "__main__":
    typer.run(main)
