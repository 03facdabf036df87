"""A file is read once, and never waited for."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from gyoza.inference.files.content import open_regular, read_content


def test_bytes_and_digest_are_of_one_reading(tmp_path: Path) -> None:
    """What is digested is what is returned, through a link, too."""
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    content = read_content(tmp_path / "b")
    assert (content.data, content.digest) == (b"abc", sha256(b"abc").hexdigest())


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    """The limit is stated."""
    (tmp_path / "a").write_bytes(b"abc")
    with pytest.raises(ValueError, match=r"must be a file of at most 2 bytes. Received: 3 bytes"):
        read_content(tmp_path / "a", 2)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes to it, and reading it would never end."""
    os.mkfifo(tmp_path / "a")
    with pytest.raises(ValueError, match="Received: a pipe, a device or the like"):
        open_regular(tmp_path / "a")


def test_what_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    """The caller says what was looked for."""
    with pytest.raises(FileNotFoundError):
        read_content(tmp_path / "a")
