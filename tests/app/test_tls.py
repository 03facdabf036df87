"""HTTPS: files that are looked at before the port opens, and served by."""

import shutil
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import main
from app.tls import TlsFilesError, check_tls
from tests.app.certificates import make_certificate
from tests.app.servers import SECONDS, serving
from tests.app.worlds import LATENTS

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_files_that_belong_together_are_fine(pair: tuple[Path, Path]) -> None:
    """A certificate with its key passes."""
    check_tls(*pair)


def test_files_that_do_not(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A key of another certificate, no key, a key with a password, and no file at all are refused with the reason."""
    certificate, key = pair
    _, other = make_certificate(tmp_path, "other")
    secret = tmp_path / "secret.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", str(key), "-out", str(secret), "-passout", "pass:secret"]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(TlsFilesError, match="the key belongs to another certificate"):
        check_tls(certificate, other)
    for wrong in (certificate, secret):
        with pytest.raises(TlsFilesError, match="its key without a password, both in PEM"):
            check_tls(certificate, wrong)
    with pytest.raises(TlsFilesError, match="nowhere must be a file that can be read, and can't: No such file"):
        check_tls(tmp_path / "nowhere", key)


def test_a_server_without_usable_files_opens_no_port(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Files that can't be served by end the command with 2 and the reason; one of the two without the other, too."""
    certificate, _ = pair
    result = CliRunner().invoke(
        main, ["serve", "--tls-certificate", str(certificate), "--tls-key", str(tmp_path / "none")]
    )
    assert (result.exit_code, "No such file" in result.output) == (2, True)
    result = CliRunner().invoke(main, ["serve", "--tls-certificate", str(certificate)])
    assert result.exit_code == 2
    assert "GYOZA_TLS_KEY: must be set together with GYOZA_TLS_CERTIFICATE." in result.output


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_serves_https(folder: Path, pair: tuple[Path, Path], workers: str) -> None:
    """A client that trusts the certificate is served, by one process or several; what is no TLS is not, and hurts none."""
    certificate, key = map(str, pair)
    arguments = ("--tls-certificate", certificate, "--tls-key", key, "--workers", workers)
    with serving(folder, *arguments) as (server, address, banner):
        assert address.startswith("https://")
        assert f"curl {address}" in banner
        trusting = ssl.create_default_context(cafile=certificate)
        with httpx.Client(base_url=address, verify=trusting, timeout=SECONDS) as client:
            for _ in range(3):
                assert client.post("/encode", json={"latents": LATENTS}).status_code == 200
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                httpx.get(f"{address}/livez", timeout=SECONDS)
            with pytest.raises(httpx.TransportError):
                httpx.get(f"{address.replace('https', 'http')}/livez", timeout=SECONDS)
            assert client.get("/readyz").status_code == 200
        server.terminate()
        _, errors = server.communicate(timeout=SECONDS)
    assert server.returncode == 0
    assert "Traceback" not in errors
