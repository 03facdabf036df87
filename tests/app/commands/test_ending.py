"""How commands end that can't do what they were asked."""

import errno

import pytest
import typer

from app.commands.ending import ending_cleanly, what_failed


def test_expected_errors_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """An expected error is its text and 1; another one is a bug, and is raised."""
    with pytest.raises(typer.Exit) as ended, ending_cleanly(ValueError):
        raise ValueError("It must be so.")
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "It must be so.\n"
    with pytest.raises(KeyError), ending_cleanly(ValueError):
        raise KeyError("a bug")


def test_what_a_system_refuses_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that can't be read or written is named with the system's reason."""
    with pytest.raises(typer.Exit), ending_cleanly():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert capsys.readouterr().err == "No space left on device\n"
    assert what_failed(FileNotFoundError(errno.ENOENT, "No such file", "a.npy")) == "a.npy: No such file; mend the path"
    assert what_failed(OSError("in words of its own")) == "in words of its own"
