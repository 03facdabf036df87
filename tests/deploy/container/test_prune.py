"""What is taken out of an environment, and what is left of it."""

import ctypes
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from deploy.container.prune import strip

LIBRARY = Path(str(metadata.distribution("safetensors").locate_file("safetensors/_safetensors_rust.abi3.so")))
PRUNE = Path(__file__).parents[3] / "deploy" / "container" / "prune.py"
LEFT = ["pack/__init__.py", "pack/data.json", "pack/testing.py", "pack-1.dist-info/include/LICENSE", "bin/tool"]
GONE = [
    "pack/tests/test_it.py",
    "pack/it_test.py",
    "pack/include/it.h",
    "pack/it.pyx",
    "pack/__init__.pyi",
    "clang/c.py",
]


def put(folder: Path, names: list[str], text: str = "") -> None:
    """Write files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def prune(folder: Path) -> subprocess.CompletedProcess[str]:
    """Prune as the build does."""
    return subprocess.run([sys.executable, str(PRUNE), str(folder)], capture_output=True, text=True, check=False)


def test_what_no_server_reads_goes(tmp_path: Path) -> None:
    """Tests, headers, sources and stubs go; licences, data and modules stay, each module with its bytecode."""
    put(tmp_path, LEFT + GONE)
    done = prune(tmp_path)
    assert done.returncode == 0, done.stderr
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {name for name in files if "__pycache__" not in name} == set(LEFT)
    assert {name.partition(".")[0] for name in files if "__pycache__" in name} == {
        "pack/__pycache__/__init__",
        "pack/__pycache__/testing",
    }


def test_bytecode_does_not_become_stale(tmp_path: Path) -> None:
    """Bytecode is used whenever its source is said to have changed: copies between stages give files other times."""
    put(tmp_path, ["it.py"], "print('as it was')")
    prune(tmp_path)
    put(tmp_path, ["it.py"], "print('as it never is')")
    done = subprocess.run([sys.executable, "-c", "import it"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "as it was\n"


def test_what_does_not_compile_ends_the_build(tmp_path: Path) -> None:
    """A module that is no Python is told of, and the build fails."""
    put(tmp_path, ["it.py"], "no python")
    done = prune(tmp_path)
    assert (done.returncode, "must compile, and some do not" in done.stderr) == (1, True)


@pytest.mark.skipif(sys.platform != "linux", reason="libraries have another form there")
def test_a_library_without_its_symbols_is_the_same(tmp_path: Path) -> None:
    """A library that ends with its segments is smaller and still loads; what is no library stays as it is."""
    library, text = tmp_path / "it.so", tmp_path / "text.so"
    shutil.copy(LIBRARY, library)
    with library.open("ab") as file:
        file.write(bytes(2**16))
    text.write_text("INPUT(it.so)")
    strip(library)
    strip(text)
    assert library.stat().st_size <= LIBRARY.stat().st_size
    assert ctypes.CDLL(str(library)).PyInit__safetensors_rust
    assert text.read_text() == "INPUT(it.so)"
