"""What a build is lent of this machine's own settings."""

from pathlib import Path

import pytest

from deploy.container.lending import certificates, lent, pip_settings


def test_settings_are_those_of_files_and_of_the_environment(tmp_path: Path) -> None:
    """The environment goes before files; what names a path of this machine is left out."""
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://one.example/simple\ntimeout = 60\ncert = /certificates\n")
    environment = {"PIP_CONFIG_FILE": str(file), "PIP_TIMEOUT": "180", "PIP_EXTRA_INDEX_URL": "file:///packages"}
    assert pip_settings(environment, []) == {"index-url": "https://one.example/simple", "timeout": "180"}


def test_certificates_are_lent_where_there_are_some() -> None:
    """The folder of the certificates is seen in the build, by its own name."""
    assert certificates({}) == []
    assert certificates({"PIP_CERT": "/etc/mine/all.crt"}) == ["--volume=/etc/mine:/etc/mine:ro"]


def test_the_secret_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings lie in a file while the build runs, and no longer."""
    monkeypatch.setenv("PIP_INDEX_URL", "https://one.example/simple")
    with lent() as options:
        file = Path(options[1].partition("src=")[2])
        assert "index-url = https://one.example/simple\n" in file.read_text()
    assert not file.exists()
