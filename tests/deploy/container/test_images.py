"""The container images, built and run for real: what they answer, and how they start, stop, and are looked after."""

import json
import re
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gyoza
from deploy.container.images import SLIM, build
from deploy.container.running import Container
from deploy.container.tools import ToolError
from tests.app.certificates import make_certificate
from tests.deploy.container.conftest import ADDRESS, MODELS, ROOT, ask, curl

pytestmark = pytest.mark.image

FACTORS = "/models/digits/factors"
EXAMPLE = ("--header", "Content-Type: application/json", "--data", "@models/digits/example.json")
USER = 10_001


def readme_curl() -> list[str]:
    """The arguments of the README's first call."""
    (line,) = re.findall(rf"^curl -s (http\S+{FACTORS} .+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return shlex.split(line)


def numbers(answer: dict[str, Any]) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """The factors of an answer, as arrays."""
    return {name: np.array(rows) for name, rows in answer["factors"].items()}


def test_both_answer_as_the_checkout_does(containers: dict[str, Container], address: str) -> None:
    """The README's call gets the same bytes from both images, and the numbers of the checkout's service."""
    answers = []
    for container in containers.values():
        with container.network():
            answers.append(curl(*readme_curl()))
    assert answers[0] == answers[1]
    found = numbers(json.loads(answers[0]))
    expected = numbers(json.loads(curl(f"{address}{FACTORS}", *EXAMPLE)))
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5)


def test_the_server_is_the_first_process(container: Container) -> None:
    """The service itself is process 1, the only one, by a user without rights who can get none."""
    status = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{container.pid}/status").read_text(), re.MULTILINE))
    assert container.pids == [container.pid]
    assert status["NSpid"].split()[-1] == "1"
    assert set(status["Uid"].split() + status["Gid"].split()) == {str(USER)}
    assert Path(f"/proc/{container.pid}/cmdline").read_bytes().endswith(b"/opt/gyoza/bin/gyoza\0serve\0")


def test_its_file_system_is_read_only(container: Container) -> None:
    """It serves from a root that can't be written to, with /tmp alone to write to."""
    done = container.run("python", "-c", "open('/tmp/it', 'w').close(); open('/models/it', 'w')")
    assert (done.returncode, "Read-only file system: '/models/it'" in done.stderr) == (1, True)


def test_its_package_is_sound(container: Container) -> None:
    """The command tells the version that the image's label tells, a flow passes its checks by it, and traces can be sent."""
    assert container.config["Labels"]["org.opencontainers.image.version"] == gyoza.__version__
    assert container.run("gyoza", "--version").stdout == f"gyoza {gyoza.__version__}\n"
    done = container.run("gyoza", "check", "/models/digits/2")
    assert done.returncode == 0, done.stdout + done.stderr
    done = container.run("python", "-c", "import app.traces")
    assert done.returncode == 0, done.stderr


def test_sigterm_ends_it_with_0(image: str) -> None:
    """SIGTERM to the server's own process, as engines send it, ends it with 0 once it has been ready, and at once before."""
    with Container(image) as container:
        container.wait_until_healthy()
        assert container.stop(signal.SIGTERM) == 0, container.log.read_text()
    with Container(image) as early:
        while "loads the models" not in early.log.read_text():
            assert early.process.poll() is None, early.log.read_text()
        assert early.stop(signal.SIGTERM) == 0, early.log.read_text()


def test_workers_serve_and_end(image: str) -> None:
    """With two workers process 1 is their supervisor; each answers, the health check asks for all, and SIGTERM ends all."""
    with Container(image, "gyoza", "serve", "--workers", "2") as container:
        container.wait_until_healthy()
        answers = [json.dumps(ask(container, FACTORS, *EXAMPLE)) for _ in range(4)]
        assert len(container.pids) == 3
        assert len(set(answers)) == 1
        assert container.stop(signal.SIGTERM) == 0, container.log.read_text()
        assert container.pids == []


def test_a_folder_mounted_over_is_served(image: str, mounted: Path) -> None:
    """Models that are mounted over the image's are served in their place."""
    shutil.copytree(MODELS / "digits" / "2", mounted / "mine" / "7")
    with Container(image, mounts={mounted: "/models"}) as container:
        container.wait_until_healthy()
        (model,) = ask(container, "/models")["models"]
        versions = [(version["version"], version["state"]) for version in model["versions"]]
        assert (model["name"], versions) == ("mine", [("7", "READY")])


def test_a_keras_file_needs_the_whole_image(
    images: tuple[str, str], containers: dict[str, Container], mounted: Path
) -> None:
    """The whole image serves a flow from its .keras file by TensorFlow; the slim one says what is missing, and is not healthy."""
    (mounted / "digits" / "2").mkdir(parents=True)
    shutil.copy(MODELS / "digits" / "2" / "flow.keras", mounted / "digits" / "2")
    expected = numbers(ask(containers[images[0]], FACTORS, *EXAMPLE))
    with Container(images[0], mounts={mounted: "/models"}) as whole:
        whole.wait_until_healthy()
        codes = ask(whole, "/models/digits/encode", *EXAMPLE)["codes"]
    np.testing.assert_allclose(codes, np.hstack(list(expected.values())), rtol=1e-3, atol=1e-4)
    with Container(images[1], mounts={mounted: "/models"}) as slim:
        while "UNAVAILABLE" not in slim.check_health().stdout:
            assert slim.process.poll() is None, slim.log.read_text()
        done = slim.check_health()
        assert done.returncode == 1
        assert "loading flow.keras needs Keras, which is not installed" in done.stdout
        assert "or put the plan beside it that gyoza package writes where Keras is" in done.stdout
        assert slim.stop() == 0


def test_the_health_check_tells_the_truth(image: str, container: Container, mounted: Path) -> None:
    """It ends with 0 where the service is ready, with 1 where it is not, and with 1 where there is none."""
    assert container.check_health().returncode == 0
    with Container(image, "sleep", "600") as asleep:
        done = asleep.check_health()
        assert (done.returncode, "Connection refused" in done.stdout) == (1, True)
    with Container(image, mounts={mounted: "/models"}) as empty:
        while (done := empty.check_health()).returncode and "refused" in done.stdout:
            assert empty.process.poll() is None, empty.log.read_text()
        assert (done.returncode, "There must be a model to be ready" in done.stdout) == (1, True)


def test_tls_and_another_port_are_looked_after(image: str, mounted: Path) -> None:
    """With a certificate and another port in the environment it serves HTTPS there, and the health check asks there."""
    for path in make_certificate(mounted):
        path.chmod(0o644)
    environment = {"TLS_CERTIFICATE": "/tls/server.pem", "TLS_KEY": "/tls/server.key", "PORT": "8443"}
    given = {f"GYOZA_{name}": value for name, value in environment.items()}
    with Container(image, environment=given, mounts={mounted: "/tls"}) as container:
        container.wait_until_healthy()
        address = ADDRESS.replace("http:", "https:").replace("8000", "8443")
        ready = ask(container, "/readyz", "--cacert", str(mounted / "server.pem"), address=address)
        assert ready == {"status": "ready"}


def test_a_version_that_is_not_the_packages_ends_the_build(images: tuple[str, str]) -> None:
    """An image can't say of itself another version than that of the package in it."""
    with pytest.raises(ToolError, match=rf"VERSION must be that of the package, gyoza_serve-{gyoza.__version__}-"):
        build(SLIM, VERSION="9.9.9")
