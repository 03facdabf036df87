"""Commands as users call them, and models for them that need no Keras."""

import sys
from collections.abc import Sequence
from pathlib import Path

from typer.testing import CliRunner, Result

from app.cli import main
from gyoza.inference import CompiledFlow
from tests.app.worlds import coupled

ROOT = Path(__file__).parents[3]
MANIFEST = "".join(
    f'[[factors]]\nname = "{name}"\nsize = {size}\n' for name, size in {"residual": 2, "digit": 1, "color": 1}.items()
)


def put_plan(
    models: Path, name: str = "tiny", version: str = "1", flow: CompiledFlow | None = None, manifest: str = MANIFEST
) -> Path:
    """Put a version that is a plan into a folder of models, and return the version's own folder."""
    folder = models / name / version
    folder.mkdir(parents=True)
    (flow or coupled()).save(folder / "plan.safetensors")
    if manifest:
        (folder / "flow.toml").write_text(manifest)
    return folder


def call(*arguments: object, code: int = 0) -> Result:
    """Call ``gyoza``, which must end with a code and without a traceback."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def refused(*arguments: object, code: int = 1) -> str:
    """What ``gyoza`` says on standard error where it refuses, on one line."""
    return " ".join(call(*arguments, code=code).stderr.split())


def command(*arguments: object, before: str = "") -> Sequence[str]:
    """The command that calls ``gyoza`` in a process of its own, where Ctrl+C is heeded."""
    # A shell that runs the tests in the background makes their children ignore the signal.
    heeding = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    script = f"{heeding}; sys.path.insert(0, {str(ROOT)!r}); {before}\nfrom app.cli import main; main()"
    return [sys.executable, "-c", script, *map(str, arguments)]
