"""A cluster of Ray on this machine alone that serves the bundled model: ``python deploy/ray/cluster.py PORT``.

Each line of standard input adds a replica; a signal to stop, or the input's end, ends it.
"""

import os
import secrets
import signal
import sys
import tempfile
from pathlib import Path

MODELS = Path(__file__).parents[2] / "models"
SETTINGS = {"models_dir": str(MODELS), "log_level": "warning"}
QUIET = {"log_level": "ERROR", "enable_access_log": False}


def main(port: int, folder: Path) -> None:
    """Serve until it is asked to end; all files are in a folder."""
    os.environ.update(environment(folder))
    # Ray reads its environment when it is imported.
    import ray  # noqa: PLC0415
    from ray import serve  # noqa: PLC0415

    from app.ray_serve import Arguments, application  # noqa: PLC0415

    ray.init(
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        _temp_dir=str(folder),
        log_to_driver=False,
        logging_level="ERROR",
    )
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port}, logging_config=QUIET)
        print("started", flush=True)
        for replicas, _ in enumerate(sys.stdin, 1):
            serve.run(application(Arguments(settings=SETTINGS), num_replicas=replicas), name="gyoza")
            print("ready", flush=True)
    finally:
        serve.shutdown()
        ray.shutdown()


def environment(folder: Path) -> dict[str, str]:
    """Return what keeps Ray to this machine, to a folder, and to itself."""
    return {
        "RAY_AUTH_TOKEN": os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # In spite of its name, what keeps its ports to 127.0.0.1 everywhere.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",  # Of 30, for load balancers, of which there is none.
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "state"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Sockets have short paths, and TMPDIR may be long.
    with tempfile.TemporaryDirectory(prefix="gyoza-ray-", dir="/tmp", ignore_cleanup_errors=True) as found:
        main(int(sys.argv[1]), Path(found))
