"""What this machine needs to reach its package index, lent to a build: no layer, no label and no variable keeps any of it."""

import configparser
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["lent"]

SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
"""Of pip's; what names a path, such as more packages, means nothing inside a build."""
FILES = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE")


@contextmanager
def lent() -> Iterator[list[str]]:
    """Give the options of ``buildah build``: a secret for pip, and the folder of certificates."""
    environment = os.environ
    with TemporaryDirectory(prefix="gyoza-") as folder:
        settings = "".join(f"{name} = {value}\n" for name, value in pip_settings(environment).items())
        file = Path(folder) / "pip.conf"
        file.write_text(f"[global]\n{settings}")
        yield ["--secret", f"id=pip.conf,src={file}", *certificates(environment)]


def pip_settings(environment: Mapping[str, str], files: Iterable[str] = FILES) -> dict[str, str]:
    """Return pip's settings of this machine that mean something in a build; the environment goes before files."""
    found: dict[str, str] = {}
    for path in [*files, environment.get("PIP_CONFIG_FILE", "")]:
        config = configparser.RawConfigParser()
        config.read(Path(path).expanduser() if path else [])
        for section in ("global", "install"):
            found |= dict(config[section]) if config.has_section(section) else {}
    found |= {
        name: environment[key] for name in SETTINGS if (key := f"PIP_{name.upper().replace('-', '_')}") in environment
    }
    return {name: value for name, value in found.items() if name in SETTINGS and "file:" not in value}


def certificates(environment: Mapping[str, str]) -> list[str]:
    """Return the option that lends the folder of certificates, where this machine has one of its own."""
    named = [Path(environment[name]).parent for name in CERTIFICATES if name in environment]
    return [f"--volume={named[0]}:{named[0]}:ro"] if named else []
