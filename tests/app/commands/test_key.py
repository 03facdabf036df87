"""``gyoza key``."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import main
from app.keys import Key, KeyRing


def test_it_prints_a_key_and_its_line(tmp_path: Path) -> None:
    """The line that is printed, in a file, opens to the key that is printed; the next key is another one."""
    printed = CliRunner().invoke(main, ["key", "web"]).output
    (key,) = re.findall(r"gyoza_\S+", printed)
    (line,) = re.findall(r"web:[0-9a-f]{64}$", printed, re.MULTILINE)
    (tmp_path / "keys").write_text(line)
    assert KeyRing(tmp_path / "keys", None).owner([key.encode()]) == Key("web", admin=False)
    assert key not in CliRunner().invoke(main, ["key", "web"]).output


@pytest.mark.parametrize("name", ["a:b", "", "a b", ".a", "x" * 65])
def test_a_name_that_would_break_the_file_is_refused(name: str) -> None:
    """A name that a line or the log could not hold is refused, with what it must be."""
    result = CliRunner().invoke(main, ["key", name])
    assert result.exit_code == 2
    assert "must be of up to 64 letters" in result.output
    assert "gyoza_" not in result.output
