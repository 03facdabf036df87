"""MLServer's command ``mlserver infer`` on files of JSON lines, against the service at ``host:port``."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.clients.scripts.native import ROWS, SIZE, Array, case_of

COMMAND = str(Path(sys.executable).with_name("mlserver"))
SECONDS = 120
ALONE = ("--workers", "1")
"""One request after the other: in a pass of its own, a row's numbers are the same bit by bit."""
MODEL = "digits.encode"
BINARY = ("--binary-data",)
FEW = [ROWS[:1], ROWS, ROWS[1:]]
"""Rows of three lines: one, three and two."""


def told(address: str, lines: Sequence[object], *options: str, model: str = MODEL) -> list[dict[str, Any]]:
    """Run the command on a file that holds a request a line, and return its answers in the order of the lines."""
    with TemporaryDirectory() as folder:
        asked, answered = Path(folder, "asked.jsonl"), Path(folder, "answered.jsonl")
        asked.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        command = [COMMAND, "infer", "-u", address, "-m", model, "-i", str(asked), "-o", str(answered), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        found = [json.loads(line) for line in answered.read_text().splitlines()]
    assert len(found) == len(lines), done.stdout + done.stderr
    return sorted(found, key=lambda answer: int(answer["parameters"]["batch_index"]))


def line(rows: Array, name: str = "latents", datatype: str = "FP32", **more: object) -> dict[str, Any]:
    """Make the request of one line."""
    given = {"name": name, "shape": list(rows.shape), "datatype": datatype, "data": rows.ravel().tolist()}
    return {"inputs": [given], **more}


def outputs_of(answer: dict[str, Any]) -> dict[str, Array]:
    """Return every output of an answer."""
    return {
        output["name"]: np.array(output["data"], np.float32).reshape(shape_of(output)) for output in answer["outputs"]
    }


def shape_of(output: dict[str, Any]) -> list[int]:
    """Return an output's shape as the server sent it: the client writes [n] as [n, 1]."""
    return output["shape"][:1] if output["name"] in {"logdet", "log_likelihood"} else list(output["shape"])


def inferred(address: str) -> None:
    """A line's answer holds the numbers of the native endpoint, for the three models, by JSON and by bytes."""
    for operation, options in (("encode", ()), ("encode", BINARY), ("factors", ()), ("invert", BINARY)):
        cases = [case_of(address, operation, rows) for rows in FEW]
        lines = [line(case.rows, case.input) for case in cases]
        # One line names itself and the outputs that it wants, in an order of its own.
        wanted = [*cases[-1].outputs][::-1]
        cases[-1] = cases[-1]._replace(outputs={name: cases[-1].outputs[name] for name in wanted})
        lines[-1].update(id="own", outputs=[{"name": name} for name in wanted])
        answers = told(address, lines, *ALONE, *options, model=cases[0].model)
        for case, answer in zip(cases, answers, strict=True):
            assert (answer["model_name"], answer["model_version"]) == (case.model, "2")
            case.check(outputs_of(answer))
        assert answers[-1]["id"] == "own"


def batched(address: str) -> None:
    """Lines that the client sends together, by several workers with all options, each get their own rows' answer."""
    lines = [line(FEW[place % 3] + place, id=f"own-{place}") for place in range(15)]
    options = "--batch-size 4 --workers 3 --retries 2 --timeout 30 --batch-interval 0.01 --batch-jitter 0.01 --verbose"
    answers = told(address, lines, *options.split(), "-H", "X-Test: 1", "-H", "X-Other: 2", "--transport", "rest")
    for own, answer in zip(lines, answers, strict=True):
        rows = np.array(own["inputs"][0]["data"], np.float32).reshape(-1, SIZE)
        assert answer["id"] == own["id"]
        for name, wanted in case_of(address, "encode", rows).outputs.items():
            np.testing.assert_allclose(outputs_of(answer)[name], wanted, rtol=1e-4, atol=1e-4, err_msg=name)


def misused(address: str) -> None:
    """What is refused is told in the server's words on the line's own answer; other lines are answered."""
    wrong = [line(ROWS[:, :4]), line(ROWS), line(ROWS, name="codes"), line(ROWS > 0, datatype="BOOL"), {"id": "empty"}]
    texts = ["must have the shape [n, 32]", "", "must be the one tensor latents", "must have the datatype", ""]
    answers = told(address, wrong, "--retries", "1")
    for text, answer in zip(texts, answers, strict=True):
        assert text in str(answer.get("error", {}).get("msg", "")), answer
    assert [("error" in answer) for answer in answers] == [True, False, True, True, True]
    (unknown,) = told(address, [line(ROWS)], "--retries", "1", model="nobody.encode")
    assert "Request for unknown model" in unknown["error"]["msg"]


def main(address: str) -> None:
    """Go through all of it."""
    for part in (inferred, batched, misused):
        part(address)


if __name__ == "__main__":
    main(sys.argv[1])
