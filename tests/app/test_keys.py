"""API keys: hashed at rest, several, changed without a restart."""

import logging
import time
from hashlib import sha256
from pathlib import Path

import pytest

from app import keys
from app.keys import KEY_BYTES, Key, KeyRing, KeysFileError, line_of, new_key
from tests.app.keyrings import write_keys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a file of keys is."""
    return tmp_path / "keys"


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at again at every call."""
    monkeypatch.setattr(keys, "LOOK_AGAIN_S", 0.0)


def owner(ring: KeyRing, *sent: str) -> Key | None:
    """Whose keys these are."""
    return ring.owner([key.encode() for key in sent])


def test_a_key_is_long_and_new() -> None:
    """A key has a prefix that scanners of secrets find, at least 256 bits, and comes once."""
    made = {new_key() for _ in range(10)}
    assert len(made) == 10
    assert all(key.startswith("gyoza_") and len(key) >= len("gyoza_") + KEY_BYTES * 8 / 6 for key in made)


def test_a_line_holds_the_digest_alone() -> None:
    """The line of a key for the file is its name and the SHA-256 of the key, never the key."""
    assert line_of("web", "gyoza_x") == f"web:{sha256(b'gyoza_x').hexdigest()}"


def test_whose_key_it_is(path: Path, tmp_path: Path) -> None:
    """Each key is known by its name; one of the admins' file is an admin's; one that is in both files too."""
    api, admin = write_keys(path, "web", "batch"), write_keys(tmp_path / "admins", "root")
    both = new_key()
    for file, name in ((path, "api"), (tmp_path / "admins", "boss")):
        with file.open("a") as lines:
            lines.write(line_of(name, both))
    ring = KeyRing(path, tmp_path / "admins")
    assert owner(ring, api["web"]) == Key("web", admin=False)
    assert owner(ring, api["batch"]) == Key("batch", admin=False)
    assert owner(ring, admin["root"]) == Key("root", admin=True)
    assert owner(ring, both) == Key("boss", admin=True)
    assert owner(ring, "wrong", api["web"]) == Key("web", admin=False)
    assert owner(ring, admin["root"], api["web"]) == owner(ring, api["web"], admin["root"]) == Key("root", admin=True)
    assert owner(ring) is None
    assert owner(ring, "", api["web"][:-1], api["web"] + "x", "web") is None


def test_digests_of_either_case(path: Path) -> None:
    """A digest may be written in upper case, with spaces around the line."""
    key = new_key()
    name, _, digest = line_of("web", key).partition(":")
    path.write_text(f"  {name}:{digest.upper()} \r\n")
    assert owner(KeyRing(path, None), key) == Key("web", admin=False)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "must hold at least one API key"),
        (b"# nobody\n\n", "must hold at least one API key"),
        (b"\nweb:123\n", "keys, line 2, must be name:sha256"),
        (b"gyoza_secret\n", "keys, line 1, must be name:sha256"),
        (b"a b:" + b"0" * 64, "keys, line 1, must be name:sha256"),
        (b"\xff\n", "it is not UTF-8"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(path: Path, content: bytes | None, text: str) -> None:
    """Without keys that can be read nothing starts; the reason names the line, and never repeats what it holds."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeysFileError, match=text) as error:
        KeyRing(path, None)
    assert "secret" not in str(error.value)


@pytest.mark.usefixtures("_at_once")
def test_keys_change_without_a_restart(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When the file is replaced, its new keys open and its old ones no more; the log tells names, never keys."""
    old = write_keys(path, "web")["web"]
    ring = KeyRing(path, None)
    with caplog.at_level(logging.INFO, "gyoza.keys"):
        assert owner(ring, old)
        new = write_keys(path, "web", "batch")
        assert owner(ring, old) is None
        assert owner(ring, new["batch"]) == Key("batch", admin=False)
    assert caplog.messages == [f"the keys of {path} are now: web, batch"]


@pytest.mark.usefixtures("_at_once")
def test_a_broken_file_changes_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While the file can't be read the former keys open, which is in the log once; then the new ones do."""
    old = write_keys(path, "web")["web"]
    ring = KeyRing(path, None)
    path.write_text(f"{old}\n")
    for _ in range(3):
        assert owner(ring, old)
    path.unlink()
    for _ in range(3):
        assert owner(ring, old)
    broken, missing = caplog.messages
    assert "line 1, must be name:sha256" in broken
    assert "No such file" in missing
    assert old not in caplog.text
    new = write_keys(path, "web")["web"]
    assert owner(ring, new)
    assert owner(ring, old) is None


def test_a_file_is_not_looked_at_for_every_request(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks lies a second, whatever comes in."""
    key = write_keys(path, "web")["web"]
    looks: list[float] = []
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    ring = KeyRing(path, None)
    monkeypatch.setattr(keys, "state_of", lambda _: looks.append(now))
    for now in (100.1, 100.9, 101.0, 101.5, 102.1):  # noqa: B007 - the clock shows it.
        owner(ring, key)
    assert looks == [101.0, 102.1]
