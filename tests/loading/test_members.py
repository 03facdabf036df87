"""What an archive may hold: it is refused by its directory, before anything in it is unpacked."""

import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gyoza.inference.files.content import LARGEST_FILE
from gyoza.loading import LoadError, load_flow, members, read_config
from gyoza.modelling.flow_layers import DisentanglingFlowModel

Saved = tuple[Path, DisentanglingFlowModel]


def copy(source: Path, target: Path, add: Callable[[zipfile.ZipFile], object]) -> Path:
    """Copy an archive and add to it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        add(new)
    return target


def linked(archive: zipfile.ZipFile) -> None:
    """Say that the config is a link."""
    archive.getinfo("config.json").external_attr = (stat.S_IFLNK | 0o777) << 16


def overlapping(archive: zipfile.ZipFile) -> None:
    """Say that two members are as long as the whole file."""
    for member in archive.infolist():
        member.compress_size = member.file_size = 10**6


def shared(archive: zipfile.ZipFile) -> None:
    """Say that a member lies where another one does; together they are no larger than the file."""
    archive.getinfo("metadata.json").header_offset = archive.getinfo("model.weights.h5").header_offset


def growing(archive: zipfile.ZipFile) -> None:
    """Say that the weights inflate to a terabyte."""
    archive.getinfo("model.weights.h5").file_size = 2**40


ADDITIONS: dict[str, tuple[Callable[[zipfile.ZipFile], object], str]] = {
    "a file beside it": (lambda archive: archive.writestr("../evil", b""), r"Received: '\.\./evil'"),
    "a file anywhere": (lambda archive: archive.writestr("/tmp/evil", b""), r"Received: '/tmp/evil'"),  # noqa: S108
    "an asset": (lambda archive: archive.writestr("assets/a", b""), "Received: 'assets/a'"),
    "other weights": (lambda archive: archive.writestr("model.weights.npz", b""), "Received: 'model.weights.npz'"),
    "a comment": (lambda archive: setattr(archive, "comment", b"PK"), "does not end as an archive does that has no"),
    "another packing": (
        lambda archive: archive.writestr("assets/a", b"x", zipfile.ZIP_BZIP2),
        "Received: 'assets/a'",
    ),
    "a link": (linked, "must be files. Received: 'config.json', a link"),
    "overlapping members": (overlapping, "must lie behind each other"),
    "members that share bytes": (shared, "must lie behind each other, and before its directory"),
    "a terabyte": (
        growing,
        r"must inflate to at most [\d,]+\. Received: 'model\.weights\.h5', which inflates to 1,099,5",
    ),
}


@pytest.mark.parametrize("case", ADDITIONS)
def test_what_keras_does_not_write_is_refused(case: str, saved: Saved, tmp_path: Path) -> None:
    """The refusal says what is in the archive that may not be, and nothing is written anywhere."""
    add, message = ADDITIONS[case]
    path = copy(saved[0], tmp_path / "flow.keras", add)
    with pytest.raises(LoadError, match=f"must be a .keras archive.*{message}"):
        load_flow(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["../a", "/a", "assets/../../a", "assets\\..\\a", "assets/c:a", "assets", "b/a"])
def test_assets_lie_in_their_folder(name: str, saved: Saved, tmp_path: Path) -> None:
    """Where files of one's own layers may be in an archive, they may be in one folder only."""
    path = copy(saved[0], tmp_path / "flow.keras", lambda archive: archive.writestr(name, b""))
    with pytest.raises(LoadError, match=r"it may hold config.json"):
        read_config(path)
    assert read_config(copy(saved[0], tmp_path / "a.keras", lambda archive: archive.writestr("assets/b/c", b"")))


def test_an_asset_must_be_packed_as_keras_packs(saved: Saved, tmp_path: Path) -> None:
    """Other ways of packing inflate as they like."""
    path = copy(
        saved[0],
        tmp_path / "a.keras",
        lambda archive: archive.writestr("assets/a", b"x", compress_type=zipfile.ZIP_BZIP2),
    )
    with pytest.raises(LoadError, match=r"stored or deflated. Received: 'assets/a', packed by method 12"):
        read_config(path)


def test_two_configs_are_refused(saved: Saved, tmp_path: Path) -> None:
    """Of two members of a name, readers take one or the other."""
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = copy(saved[0], tmp_path / "flow.keras", lambda archive: archive.writestr("config.json", b"{}"))
    with pytest.raises(LoadError, match=r"must have a name of its own. Received: 'config.json' twice"):
        load_flow(path)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """What inflates a thousandfold is refused by what its directory says."""
    path = tmp_path / "flow.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b"{}")
        archive.writestr("model.weights.h5", bytes(2**25))
    with pytest.raises(LoadError, match=r"must inflate to at most 16,777,216\. Received: 'model\.weights\.h5'"):
        load_flow(path)


def test_weights_inflate_to_little_more_than_they_are(saved: Saved, tmp_path: Path) -> None:
    """A small file does not fill the memory; weights that somebody packed load all the same."""
    path = tmp_path / "flow.keras"
    for weights in (bytes(2**22) + os.urandom(2**20), os.urandom(2**20) + bytes(20 * 2**20)):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", b"{}")
            archive.writestr("model.weights.h5", weights)
        if len(weights) < members.FREELY_INFLATED:
            assert read_config(path) == {}
            continue
        with pytest.raises(LoadError, match=r"must inflate to at most 16,777,216\. Received: 'model\.weights\.h5'"):
            read_config(path)
    with zipfile.ZipFile(saved[0]) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in old.namelist():
            archive.writestr(name, old.read(name))
    assert load_flow(path).flow


def test_a_large_config_is_refused(tmp_path: Path) -> None:
    """The limit is stated."""
    path = tmp_path / "flow.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", b" " * (members.LARGEST_CONFIG + 1))
    with pytest.raises(LoadError, match=r"config\.json must have at most 8,388,608 bytes\. Received: 8,388,609"):
        load_flow(path)


@pytest.mark.parametrize(("count", "message"), [(1_001, "at most 1,000 members"), (20_000, "its directory must have")])
def test_many_members_are_refused(count: int, message: str, tmp_path: Path) -> None:
    """Before all of a large directory is read."""
    with zipfile.ZipFile(tmp_path / "flow.keras", "w") as archive:
        for number in range(count):
            archive.writestr(f"assets/{number}", b"")
    with pytest.raises(LoadError, match=message):
        read_config(tmp_path / "flow.keras")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda end: end, None),
        (lambda end: end[:40] + struct.pack("<Q", 2**40) + end[48:], "its directory must have at most"),
        (lambda end: b"PK\6\0" + end[4:], "must end right before"),
    ],
)
def test_the_directory_of_a_large_archive_is_found(
    change: Callable[[bytes], bytes],
    message: str | None,
    saved: Saved,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Archives of more than 4 GiB say twice how large their directory is; the larger form counts."""
    path = tmp_path / "flow.keras"
    with monkeypatch.context() as patch:
        patch.setattr(zipfile, "ZIP64_LIMIT", 10)
        copy(saved[0], path, lambda archive: None)
    content, place = path.read_bytes(), -22 - 20 - 56
    path.write_bytes(content[:place] + change(content[place:]))
    if message is None:
        with zipfile.ZipFile(saved[0]) as archive:
            assert read_config(path) == json.loads(archive.read("config.json"))
        return
    with pytest.raises(LoadError, match=message):
        read_config(path)


def test_a_large_archive_is_refused(saved: Saved, tmp_path: Path) -> None:
    """By its size on the disk, of which nothing is read."""
    path = tmp_path / "flow.keras"
    with path.open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(LoadError, match=r"at most 8,589,934,592 bytes\. Received: 8,589,934,593 bytes\. Copy"):
        load_flow(path)


def test_members_together_are_bounded(saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many members that are small enough each may still be too much."""
    monkeypatch.setattr(members, "LARGEST_FILE", 100)
    with pytest.raises(LoadError, match=r"must inflate to at most 100 bytes"):
        load_flow(saved[0])
