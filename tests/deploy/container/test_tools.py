"""The commands that build and run images, and what is said where they can't."""

import os
from pathlib import Path

import pytest

from deploy.container.tools import PACKAGES, ToolError, check_tools, run


def test_who_is_not_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images can't be built by just anybody, which is said before anything is begun."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolError, match=r"by root on Linux alone\. Run it as root, or use a container engine"):
        check_tools()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command that is not installed is named, with what installs it."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolError, match=r"python -m deploy\.container\.tools") as found:
        check_tools()
    assert all(name in str(found.value) for name in PACKAGES)


def test_a_command_that_fails_tells_why(tmp_path: Path) -> None:
    """What a command said at its end is told, wherever that was written."""
    command = ["sh", "-c", "echo the reason >&2; exit 3"]
    for log in (None, tmp_path / "log"):
        with pytest.raises(ToolError, match="sh must end with 0, and ended with 3:\nthe reason"):
            run(command, log=log)
    assert run(["echo", "done"]) == "done\n"
