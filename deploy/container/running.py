"""One container, run by crun as an engine runs it: nothing but the image, a network of its own, no rights, no writing.

What its ``docker run`` would be: ``--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --network none``.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.container.images import configuration, opened
from deploy.container.tools import WORK, ToolError

__all__ = ["Container"]

UNIFIED = ("unshare", "--mount", "sh", "-c", 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"', "sh")
"""crun refuses a machine that has control groups of both kinds, so it sees one kind alone. No limits are set by them."""
CRUN = (*UNIFIED, "crun", "--root", str(WORK / "run"), "--cgroup-manager=disabled")
NAMESPACES = ("pid", "network", "ipc", "uts", "mount")
PATIENCE_S = 60.0
SIZES = {"/tmp": "256m", "/dev": "64k", "/dev/shm": "64m"}  # noqa: S108 - the container's own.


class Container:
    """A running image, ended with its ``with`` block.

    Args:
        image: Its name.
        arguments: What is run in place of the image's command.
        environment: Variables beside the image's.
        mounts: Folders of this machine to where they are seen, read only.
    """

    def __init__(
        self,
        image: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        mounts: Mapping[Path, str] | None = None,
    ) -> None:
        """Keep what to run."""
        self._image, self._arguments = image, arguments
        self._environment, self._mounts = environment or {}, mounts or {}
        self._name = f"gyoza-{uuid.uuid4().hex[:12]}"
        self._folder = WORK / "bundles" / self._name
        self.log = self._folder / "log"
        self.config = configuration(image)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start it."""
        self._folder.mkdir(parents=True)
        root = self._stack.enter_context(opened(self._image))
        self._write_bundle(root)
        self.began = time.perf_counter()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*CRUN, "run", f"--bundle={self._folder}", f"--pid-file={self._folder / 'pid'}", self._name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self.pid = self._started()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """End it, by force where it has not ended."""
        if self.process.poll() is None:
            subprocess.run([*CRUN, "kill", self._name, "KILL"], capture_output=True, check=False)
            self.process.wait(PATIENCE_S)
        subprocess.run([*CRUN, "delete", "--force", self._name], capture_output=True, check=False)
        self._stack.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pids(self) -> list[int]:
        """Its processes, by the ids that they have outside."""
        mine = namespace(self.pid, "pid")
        if mine is None:
            return []
        found = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
        return sorted(pid for pid in found if namespace(pid, "pid") == mine)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send its first process a signal, and return the code that it ends with."""
        os.kill(self.pid, number)
        return self.process.wait(PATIENCE_S)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, by its user, with its variables."""
        exec_ = [*CRUN, "exec", f"--user={self.config['User']}", self._name]
        return subprocess.run([*exec_, *command], capture_output=True, text=True, check=False, timeout=PATIENCE_S)

    def check_health(self) -> subprocess.CompletedProcess[str]:
        """Run the image's own health check in it."""
        kind, *command = self.config["Healthcheck"]["Test"]
        if kind != "CMD":
            raise ToolError(f"The health check must need no shell. Received: {kind}")
        return self.run(*command)

    def wait_until_healthy(self) -> None:
        """Wait until its health check passes.

        Raises:
            ToolError: It ended before, or takes too long.
        """
        while (found := self.check_health()).returncode:
            if self.process.poll() is not None or time.perf_counter() > self.began + PATIENCE_S:
                raise ToolError(
                    f"{self._image} must become healthy: {found.stdout}{found.stderr}{self.log.read_text()}"
                )
            time.sleep(0.1)

    @contextmanager
    def network(self) -> Iterator[None]:
        """Let this thread, and what it starts, be in the container's network, where 127.0.0.1 is the container."""
        mine = Path(f"/proc/self/task/{threading.get_native_id()}/ns/net")
        with mine.open() as own, Path(f"/proc/{self.pid}/ns/net").open() as theirs:
            enter(theirs.fileno())
            try:
                yield
            finally:
                enter(own.fileno())

    def _started(self) -> int:
        """Wait until its first process is there, and return its id."""
        file = self._folder / "pid"
        while not (file.exists() and (text := file.read_text())):
            if self.process.poll() is not None or time.perf_counter() > self.began + PATIENCE_S:
                raise ToolError(f"{self._image} must start, and does not: {self.log.read_text()}")
            time.sleep(0.001)
        return int(text)

    def _write_bundle(self, root: Path) -> None:
        """Write how it is run."""
        user, _, group = self.config["User"].partition(":")
        variables = [*self.config["Env"], *(f"{name}={value}" for name, value in self._environment.items())]
        command = self._arguments or [*(self.config.get("Entrypoint") or []), *self.config["Cmd"]]
        content = {
            "ociVersion": "1.0.0",
            "hostname": "gyoza",
            "process": {
                "user": {"uid": int(user or 0), "gid": int(group or 0)},
                "args": list(command),
                "env": variables,
                "cwd": self.config.get("WorkingDir") or "/",
                "capabilities": {},
                "noNewPrivileges": True,
            },
            "root": {"path": str(root), "readonly": True},
            "mounts": [*filesystems(), *bound(self._mounts)],
            "linux": {"namespaces": [{"type": kind} for kind in NAMESPACES]},
        }
        (self._folder / "config.json").write_text(json.dumps(content, indent=1))


def filesystems() -> Iterator[dict[str, Any]]:
    """Yield the file systems that every container has."""
    yield {"destination": "/proc", "type": "proc", "source": "proc"}
    for path, size in SIZES.items():
        options = [
            "nosuid",
            *(["nodev"] if path != "/dev" else []),
            f"mode={755 if path == '/dev' else 1777}",
            f"size={size}",
        ]
        yield {"destination": path, "type": "tmpfs", "source": "tmpfs", "options": options}


def bound(mounts: Mapping[Path, str]) -> Iterator[dict[str, Any]]:
    """Yield folders of this machine that it sees."""
    for source, path in mounts.items():
        yield {"destination": path, "type": "bind", "source": str(source), "options": ["rbind", "ro"]}


def namespace(pid: int, kind: str) -> str | None:
    """Return which namespace a process is in; None if the process is gone."""
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError:
        return None


def enter(descriptor: int) -> None:
    """Let this thread be in a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, 0):
        raise OSError(ctypes.get_errno(), "The network of a container can't be entered")
