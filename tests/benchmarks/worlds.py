"""Made-up results of a run."""

from typing import Any

from benchmarks.results import Load, Results, Start, Timing

LOAD: dict[str, Any] = {
    "server": "gyoza",
    "flow": "small-additive",
    "form": "json",
    "scenario": "r1c1",
    "requests_s": 1000.0,
    "rows_s": 1000.0,
    "p50_ms": 1.0,
    "p99_ms": 2.0,
    "failed": 0,
    "server_cpus": 1.0,
    "foreign_cpus": 0.0,
}


def load(**given: Any) -> Load:
    """A load, of the service where nothing else is said."""
    return Load(**{**LOAD, **given})


def results() -> Results:
    """A run with something of everything, in which the service is three times as fast as a peer."""
    return Results(
        machine={"processor": "any", "CPUs": "2"},
        versions={"Python": "3.11"},
        options={"rounds": 3},
        timings=[
            Timing(way, "small-additive", "encode", 1, ms, foreign_cpus=0.0)
            for way, times in {"plan": (0.2, 0.3, 0.9), "floor": (0.25,), "tf.function": (2.4,)}.items()
            for ms in times
        ],
        loads=[
            load(),
            load(server="fastapi-tf", p50_ms=3.0),
            load(server="mlserver", form="v2-json", p50_ms=5.0),
            load(server="triton", form="v2-json", p50_ms=6.0),
            load(server="fastapi-tf", scenario="r1c16", requests_s=400.0),
            load(scenario="r1c16", requests_s=1200.0, p99_ms=5.0),
        ],
        starts=[
            Start("import tensorflow", 5.0, 380.0, 300.0, 400.0),
            Start("gyoza from .keras", 12.0, 399.0, 330.0, 420.0),
        ],
        notes=["Something is left out."],
    )
