"""What an archive promises before anything of it is deserialised."""

import os
import zipfile
from pathlib import Path

import pytest

from gyoza.loading import LoadError, archive, load_flow, load_model, read_config
from gyoza.loading.diagnosis import diagnose_config
from gyoza.modelling.flow_layers import DisentanglingFlowModel


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a .keras archive"),
        (b"not a zip at all", "must be a .keras archive"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """Bytes that are no archive of Keras are named as such."""
    path = tmp_path / "flow.keras"
    path.write_bytes(content)
    with pytest.raises(LoadError, match=message):
        load_flow(path)


def test_another_ending_is_refused(saved: tuple[Path, DisentanglingFlowModel], tmp_path: Path) -> None:
    """Keras picks its reader by the ending: only the one that was checked may read."""
    path = tmp_path / "flow.h5"
    path.write_bytes(saved[0].read_bytes())
    with pytest.raises(LoadError, match=r"must be a \.keras file\. Received: the ending '\.h5'"):
        load_flow(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(LoadError, match=r"flow\.keras does not exist"):
        load_flow(tmp_path / "flow.keras")


@pytest.mark.parametrize(
    ("config", "message"),
    [(None, "must be a .keras archive"), (b"{", "must be a .keras archive"), (b"[]", "Received: list")],
)
def test_an_archive_without_a_config_is_refused(tmp_path: Path, config: bytes | None, message: str) -> None:
    """An archive needs a config that is a JSON object."""
    path = tmp_path / "flow.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", b"{}")
        if config is not None:
            archive.writestr("config.json", config)
    with pytest.raises(LoadError, match=message):
        read_config(path)


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_a_damaged_archive_is_refused(member: str, saved: tuple[Path, DisentanglingFlowModel], tmp_path: Path) -> None:
    """A single bit that is not as it was saved is found, wherever it is; the error names the member."""
    path = tmp_path / "flow.keras"
    with zipfile.ZipFile(saved[0]) as archive:
        data = archive.read(member)
    content = bytearray(saved[0].read_bytes())
    content[content.index(data) + len(data) // 2] ^= 1
    path.write_bytes(content)
    for load in (load_flow, load_model):
        with pytest.raises(LoadError, match=rf"is damaged: its member {member} is not as it was saved\. Copy it again"):
            load(path)


@pytest.mark.parametrize("place", ["content", "flags", "method"])
def test_an_archive_that_cannot_be_unpacked_is_refused(
    place: str, saved: tuple[Path, DisentanglingFlowModel], tmp_path: Path
) -> None:
    """What no longer inflates, seems to be encrypted, or is packed in an unknown way is about the file."""
    path = tmp_path / "flow.keras"
    with zipfile.ZipFile(saved[0]) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("config.json", source.read("config.json"))
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    if place == "content":
        content[41:61] = bytes(20)
    elif place == "flags":
        content[6] |= 1
        content[entry + 8] |= 1
    else:
        content[8] = content[entry + 10] = 77
    path.write_bytes(content)
    with pytest.raises(LoadError, match=r"must be a \.keras archive|is damaged"):
        load_model(path)


def test_a_cut_archive_is_refused(saved: tuple[Path, DisentanglingFlowModel], tmp_path: Path) -> None:
    """A file that lost its end is refused, whatever Keras would make of it."""
    path = tmp_path / "flow.keras"
    path.write_bytes(saved[0].read_bytes()[:-500])
    with pytest.raises(LoadError, match=r"must be a \.keras archive"):
        load_flow(path)


@pytest.mark.parametrize("depth", [600, 100_000])
def test_a_config_that_is_nested_too_deeply_is_refused(depth: int, tmp_path: Path) -> None:
    """However deep a config is nested, the error is about the file."""
    path = tmp_path / "flow.keras"
    config = f'{{"module": "keras", "class_name": "Sequential", "config": {"[" * depth}{"]" * depth}}}'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", b"{}")
        archive.writestr("config.json", config)
    for load in (load_flow, load_model):
        with pytest.raises(
            LoadError, match=r"flow\.keras .*(nested too deeply|maximum recursion depth).*save the model anew"
        ):
            load(path)


def test_a_copy_needs_room(saved: tuple[Path, DisentanglingFlowModel], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no folder for it, or no room in it, the error says how to name another one."""
    message = (
        r"copied before it is loaded, .*\. Make room there, or name another folder by the environment variable TMPDIR"
    )
    with saved[0].open("rb") as source, pytest.raises(LoadError, match=f"No space left.*{message[-20:]}"):
        archive.copied(source, Path("/dev/full"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "rewrite", full)
    with pytest.raises(LoadError, match=message), archive.rewritten(saved[0], {}):
        pass
    monkeypatch.setattr(archive, "TemporaryDirectory", full)
    with pytest.raises(LoadError, match=message):
        load_flow(saved[0])


def test_a_fault_that_no_part_has_is_told_all_the_same(saved: tuple[Path, DisentanglingFlowModel]) -> None:
    """Where each part can be made by itself, what was raised is shown."""
    assert diagnose_config(read_config(saved[0]), ValueError("odd")).startswith("odd. Load it with the version")


def test_a_pipe_is_no_archive(tmp_path: Path) -> None:
    """Nobody waits for what is written to it."""
    os.mkfifo(tmp_path / "flow.keras")
    with pytest.raises(LoadError, match=r"must be a \.keras archive .* Received: a pipe"):
        load_flow(tmp_path / "flow.keras")


def test_a_file_that_grows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is copied is counted: its size when it was opened bounds nothing."""
    path = tmp_path / "flow.keras"
    path.write_bytes(bytes(100))
    monkeypatch.setattr(archive, "LARGEST_FILE", 99)
    with path.open("rb") as source, pytest.raises(LoadError, match=r"copy grew beyond 99 bytes while it was read"):
        archive.copied(source, tmp_path / "copy")
