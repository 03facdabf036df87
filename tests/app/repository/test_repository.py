"""The models of a folder."""

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.errors import NotFound, NotReady
from app.repository import Repository, State
from gyoza.inference.checks import Golden
from tests.app.worlds import TinyFlow, loaded, put, tiny_loader


def states(repository: Repository) -> dict[tuple[str, int], State]:
    """The state of every version."""
    return {(entry.name, entry.version): entry.state for entry in repository.entries}


def test_versions_are_integers(tmp_path: Path) -> None:
    """Versions are compared as integers; without one, the highest READY version is meant."""
    for version, text in (("9", "affine"), ("10", "affine"), ("11", "bug")):
        put(tmp_path, version=version, text=text)
    repository = loaded(tmp_path)
    assert [entry.version for entry in repository.versions("tiny")] == [9, 10, 11]
    assert repository.find("tiny").version == 10
    assert repository.find("tiny", "009").version == 9
    assert repository.find("tiny", "11").state is State.UNAVAILABLE
    with pytest.raises(NotFound, match="Versions that exist: 9, 10, 11"):
        repository.find("tiny", "1")


def test_other_entries_are_ignored(tmp_path: Path) -> None:
    """What is neither a version folder nor a loose .keras file is no model."""
    put(tmp_path)
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "tiny" / "notes").mkdir()
    (tmp_path / "tiny" / "3").write_text("a file")
    (tmp_path / ".git" / "1").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    assert states(loaded(tmp_path)) == {("tiny", 1): State.READY}


def test_names_and_clashes(tmp_path: Path) -> None:
    """An impossible name, a folder and a loose file of one name, and two folders of one version are UNAVAILABLE."""
    put(tmp_path, name="both", version="2")
    (tmp_path / "both.keras").write_text("affine")
    put(tmp_path, name="a.b")
    put(tmp_path, name="twice", version="1")
    put(tmp_path, name="twice", version="01")
    (tmp_path / "other.keras").write_text("affine")
    repository = loaded(tmp_path)
    assert states(repository) == {
        ("a.b", 1): State.UNAVAILABLE,
        ("both", 1): State.UNAVAILABLE,
        ("both", 2): State.UNAVAILABLE,
        ("other", 1): State.READY,
        ("twice", 1): State.UNAVAILABLE,
    }
    reasons = {entry.name: entry.reason or "" for entry in repository.entries}
    assert "must match" in reasons["a.b"]
    assert "both.keras" in reasons["both"]
    assert "two folders" in reasons["twice"]


def test_one_bad_file_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a file does, the others load; the unforeseen is logged with its stack trace, the foreseen without."""
    for name, text in (("a", "bug"), ("b", "unproven"), ("c", "affine")):
        put(tmp_path, name=name, text=text)
    with caplog.at_level(logging.WARNING, "gyoza.repository"):
        repository = loaded(tmp_path)
    assert list(states(repository).values()) == [State.UNAVAILABLE, State.UNAVAILABLE, State.READY]
    assert [record.exc_info is not None for record in caplog.records] == [True, False]


def test_the_default_model(tmp_path: Path) -> None:
    """The default is the one that is set, else the only READY one, else there is none and the names are told."""
    put(tmp_path, name="a")
    put(tmp_path, name="b", text="bug")
    assert loaded(tmp_path).find().name == "a"
    assert loaded(tmp_path, default="b").find().name == "b"
    with pytest.raises(NotFound, match=r"no model 'c'\. Models that exist: a, b"):
        loaded(tmp_path, default="c").find()
    put(tmp_path, name="c")
    with pytest.raises(NotFound, match=r"2 models are READY, not one.*a, b, c"):
        loaded(tmp_path).find()


def test_what_was_found_is_found_until_it_changes(tmp_path: Path) -> None:
    """A path that was asked for before means the same version, and another one as soon as that is READY."""
    for version, text in (("1", "affine"), ("2", "affine")):
        put(tmp_path, version=version, text=text)
    found = []

    def loader(path: Path, golden: Golden | None) -> TinyFlow:
        with suppress(NotReady):
            found.append(repository.ready("tiny")[0].version)
        return tiny_loader(path, golden)

    repository = Repository(tmp_path, loader=loader, max_batch_rows=8)
    repository.load_all()
    assert found == [1]
    assert repository.ready("tiny")[0].version == 2
    assert repository.ready("tiny") is repository.ready("tiny")


def test_loading_is_a_state(tmp_path: Path) -> None:
    """Until it is loaded a version is LOADING, and asking for it is not ready; a closed repository loads no more."""
    put(tmp_path)
    repository = Repository(tmp_path, loader=tiny_loader, max_batch_rows=8)
    assert repository.find("tiny").state is State.LOADING
    for name in ("tiny", None):
        with pytest.raises(NotReady, match="loading"):
            repository.ready(name)
    repository.close()
    repository.load_all()
    assert states(repository) == {("tiny", 1): State.LOADING}


def test_a_missing_folder_has_no_models(tmp_path: Path) -> None:
    """A models folder that does not exist is told as such, and holds no models."""
    repository = loaded(tmp_path / "nowhere")
    assert repository.entries == ()
    assert not repository.is_ready(strict=False)
    with pytest.raises(NotFound, match="Models that exist: none"):
        repository.find()


def test_a_name_that_is_no_text_is_shown_all_the_same(tmp_path: Path) -> None:
    """A folder whose name is not UTF-8 is UNAVAILABLE under a name that can be sent; the others load."""
    put(tmp_path)
    (tmp_path / os.fsdecode(b"bad\xff") / "1").mkdir(parents=True)
    repository = loaded(tmp_path)
    assert states(repository) == {("bad\ufffd", 1): State.UNAVAILABLE, ("tiny", 1): State.READY}
    assert all(name.encode() for name in repository.names)


def test_a_folder_that_cannot_be_read_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that the system refuses to list is UNAVAILABLE where it can be a model's; the others load."""
    put(tmp_path)
    put(tmp_path, name="locked")
    put(tmp_path, name="lost+found")
    listed = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name in {"locked", "lost+found", "all locked"}:
            raise PermissionError(13, "Permission denied", str(path))
        return iter(listed(path))

    monkeypatch.setattr(Path, "iterdir", iterdir)
    repository = loaded(tmp_path)
    assert states(repository) == {("locked", 1): State.UNAVAILABLE, ("tiny", 1): State.READY}
    assert "can't be read: Permission denied; let the server's user read it" in (repository.find("locked").reason or "")
    assert loaded(tmp_path / "all locked").entries == ()


def test_a_default_that_is_not_there_is_told_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so at the start, with the names that exist."""
    loaded(folder, default="tinny")
    assert "the default model tinny is not in the folder of models; those that are: tiny" in caplog.text
    caplog.clear()
    loaded(folder, default="tiny")
    assert "default" not in caplog.text
