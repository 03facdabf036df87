"""The health check of images: a process of its own that ends with 0 where the service is ready, and imports next to nothing."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.healthcheck import own_port
from app.settings import Settings
from tests.app.certificates import make_certificate
from tests.app.servers import ROOT, SECONDS, serving
from tests.app.worlds import put

CODE = (
    "import sys; sys.path.insert(0, {root!r}); import runpy; runpy.run_module('app.healthcheck', run_name='__main__')"
)


def check(address: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the check as an image does, with its settings in the environment."""
    host, port = urlsplit(address).hostname, urlsplit(address).port
    given = {"GYOZA_HOST": host or "127.0.0.1", "GYOZA_PORT": str(port), **environment}
    command = [sys.executable, "-Ic", CODE.format(root=str(ROOT))]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=SECONDS)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_service_that_is_ready_is_healthy(workers: str, folder: Path) -> None:
    """Where all models are READY it ends with 0 and says nothing, with several workers, below a prefix and where keys are asked for."""
    keys = folder.parent / "keys.txt"
    keys.write_text(f"web:{'0' * 64}\n")
    options = ["--workers", workers, "--root-path", "/gyoza", "--api-keys-file", str(keys)]
    with serving(folder, *options) as (_, address, _):
        done = check(address)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("everywhere", ["0.0.0.0", ""])  # noqa: S104
def test_who_listens_everywhere_is_asked_nearby(folder: Path, everywhere: str) -> None:
    """The address that means every interface is none to ask, so the machine's own is; the names of variables may be small."""
    with serving(folder) as (_, address, _):
        done = check(GYOZA_HOST=everywhere, gyoza_port=str(urlsplit(address).port), GYOZA_PORT="8000")
    assert done.returncode == 0, done.stdout


def test_a_port_of_kubernetes_is_none() -> None:
    """Where a service is called gyoza, the service keeps its default port, and there it is asked."""
    assert own_port("tcp://10.0.0.1:80") == str(Settings().port)
    assert own_port("81") == "81"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_a_service_with_tls_is_asked_by_tls(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where the settings name a certificate it speaks TLS, whoever signed it."""
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    with serving(folder, "--tls-certificate", str(certificate), "--tls-key", str(key)) as (_, address, _):
        encrypted, plain = check(address, GYOZA_TLS_CERTIFICATE=str(certificate)), check(address)
    assert (encrypted.returncode, plain.returncode) == (0, 1), encrypted.stdout


def test_a_service_that_is_not_ready_tells_why(folder: Path) -> None:
    """Where a model is UNAVAILABLE it ends with 1, and prints what the service says of it."""
    put(folder, "wrong", text="no such flow")
    with serving(folder) as (_, address, _):
        done = check(address)
    assert done.returncode == 1
    assert "wrong version 1 is UNAVAILABLE" in done.stdout


def test_no_service_is_not_healthy() -> None:
    """Where nothing listens, something else does, or the port is none, it ends with 1 and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    closed, wrong = check(f"http://127.0.0.1:{port}"), check(GYOZA_PORT="many")
    assert (closed.returncode, wrong.returncode) == (1, 1)
    assert "must answer, and does not: [Errno 111] Connection refused" in closed.stdout
    assert "invalid literal for int() with base 10: 'many'" in wrong.stdout


def test_a_service_that_does_not_answer_is_not_healthy() -> None:
    """A port that takes connections and says nothing on them is waited for some seconds and no longer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = check(f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert (done.returncode, done.stdout) == (1, "The service must answer, and does not: timed out\n")


def test_it_imports_next_to_nothing() -> None:
    """It is run every few seconds, so it imports neither packages nor TLS, nor the settings' library."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import app.healthcheck; "
        "print(*{name.partition('.')[0] for name in sys.modules} & {'ssl', 'http', 'pydantic', 'asyncio', 'typing', 'numpy', 're'})"
    )
    done = subprocess.run([sys.executable, "-ISc", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
