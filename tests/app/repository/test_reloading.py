"""A folder of models that changes while they are served."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import Conflict, NotFound, NotReady
from app.repository import UNLOADED, Known, Repository, State
from gyoza.inference.checks import Golden
from tests.app.worlds import TinyFlow, loaded, put, tiny_loader


def write(folder: Path, text: str, version: str = "1") -> None:
    """Write another flow in the place of one of model "tiny"."""
    (folder / "tiny" / version / "flow.keras").write_text(text)


def states(repository: Repository, name: str = "tiny") -> dict[int, State]:
    """The states of a model's versions."""
    return {entry.version: entry.state for entry in repository.versions(name)}


def test_a_new_version_takes_over(tmp_path: Path) -> None:
    """A version that came later serves once it was loaded, and what was not changed stays as it is."""
    put(tmp_path)
    repository = loaded(tmp_path)
    first = repository.ready("tiny")
    put(tmp_path, version="2")
    assert repository.ready("tiny") == first
    repository.load("tiny")
    assert repository.ready("tiny")[0].version == 2
    assert repository.ready("tiny", "1")[1] is first[1]


def test_a_new_model_appears(tmp_path: Path) -> None:
    """A model whose folder came later, or whose loose file did, is served once it was loaded."""
    put(tmp_path)
    repository = loaded(tmp_path, default="tiny")
    put(tmp_path, "later")
    (tmp_path / "loose.keras").write_text("plain")
    for name in ("later", "loose"):
        with pytest.raises(NotFound):
            repository.find(name)
        repository.load(name)
        assert repository.ready(name)[0].version == 1
    assert repository.names == ["later", "loose", "tiny"]


def test_changed_files_take_over(tmp_path: Path) -> None:
    """A version whose files changed serves those, as soon as all of its model is loaded."""
    put(tmp_path)
    put(tmp_path, version="2")
    seen = []

    def loader(path: Path, golden: Golden | None) -> TinyFlow:
        seen.append([entry.model for entry in repository.entries])
        return tiny_loader(path, golden)

    repository = Repository(tmp_path, loader=loader, max_batch_rows=8)
    repository.load_all()
    before = [entry.model for entry in repository.entries]
    write(tmp_path, "plain")
    write(tmp_path, "plain", version="2")
    repository.load("tiny")
    assert seen[2:] == [before, before]
    assert all(entry.model is not None and entry.model.layout is None for entry in repository.entries)


def test_a_version_that_is_gone_goes(tmp_path: Path) -> None:
    """A version whose folder was removed is there no more, once the model was loaded."""
    for version in "12":
        put(tmp_path, version=version)
    repository = loaded(tmp_path)
    shutil.rmtree(tmp_path / "tiny/2")
    repository.load("tiny")
    assert states(repository) == {1: State.READY}


def test_a_failed_load_leaves_the_former_one(tmp_path: Path) -> None:
    """Where the new files can't be loaded, the former ones serve, and the reason is listed until others can be."""
    put(tmp_path)
    put(tmp_path, version="2")
    repository = loaded(tmp_path)
    models = [entry.model for entry in repository.entries]
    for text in ("?", "bug"):
        write(tmp_path, text)
        with pytest.raises(
            Conflict, match="version 1 of tiny: serves the files of its former load, since the last one"
        ):
            repository.load("tiny")
        assert [entry.model for entry in repository.entries] == models
        assert [entry.reason is None for entry in repository.entries] == [False, True]
        assert repository.is_ready(strict=True)
    write(tmp_path, "affine")
    repository.load("tiny")
    assert [(entry.model, entry.reason) for entry in repository.entries] == [(model, None) for model in models]


def test_digests_are_checked_at_every_load(tmp_path: Path) -> None:
    """A version whose files are no longer those that its manifest lists goes on with those that it was made of."""
    path = put(tmp_path)
    repository = loaded(tmp_path)
    (path / "flow.toml").write_text(f"[files]\n'flow.keras' = '{'0' * 64}'\n")
    with pytest.raises(Conflict, match=r"flow\.keras must have the SHA-256 0000"):
        repository.load("tiny")
    assert states(repository) == {1: State.READY}


def test_a_new_version_that_fails_stops_nobody(tmp_path: Path) -> None:
    """A version that came later and can't be loaded is UNAVAILABLE, the others load, and the server stays ready."""
    put(tmp_path)
    repository = loaded(tmp_path)
    put(tmp_path, version="2", text="?")
    put(tmp_path, version="3")
    with pytest.raises(Conflict, match=r"version 2 of tiny: flow.keras must be a .keras archive\. Mend"):
        repository.load("tiny")
    assert states(repository) == {1: State.READY, 2: State.UNAVAILABLE, 3: State.READY}
    assert repository.is_ready(strict=True)


def test_what_was_broken_at_the_start_is_awaited(tmp_path: Path) -> None:
    """A version that could not be loaded at the start keeps the server from being ready until it can, or is gone."""
    put(tmp_path)
    put(tmp_path, version="2", text="?")
    repository = loaded(tmp_path)
    with pytest.raises(Conflict):
        repository.load("tiny")
    assert not repository.is_ready(strict=True)
    write(tmp_path, "affine", version="2")
    repository.load("tiny")
    assert repository.is_ready(strict=True)
    put(tmp_path, "broken", text="?")
    repository = loaded(tmp_path)
    assert not repository.is_ready(strict=True)
    shutil.rmtree(tmp_path / "broken")
    with pytest.raises(NotFound, match="no model 'broken' in the folder"):
        repository.load("broken")
    assert repository.is_ready(strict=True)
    assert repository.names == ["tiny"]


def test_a_folder_that_is_gone_or_unreadable_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a model's files are gone altogether, or can't be looked at, what is loaded serves."""
    for version in "12":
        put(tmp_path, version=version)
    repository = loaded(tmp_path)
    listed = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "tiny":
            raise PermissionError(13, "Permission denied", str(path))
        return iter(listed(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", iterdir)
        with pytest.raises(Conflict, match="can't be read: Permission denied"):
            repository.load("tiny")
    assert states(repository) == {1: State.READY, 2: State.READY}
    shutil.rmtree(tmp_path / "tiny")
    with pytest.raises(Conflict, match="no version of it does; those that were loaded still serve"):
        repository.load("tiny")
    assert states(repository) == {1: State.READY, 2: State.READY}
    with pytest.raises(NotFound):
        repository.load("never")


def test_a_clash_stops_nothing(tmp_path: Path) -> None:
    """A loose file of the same name keeps a model from being loaded, and what is loaded serves on."""
    put(tmp_path)
    repository = loaded(tmp_path)
    (tmp_path / "tiny.keras").write_text("affine")
    with pytest.raises(Conflict, match="both a folder tiny and a loose file"):
        repository.load("tiny")
    assert states(repository) == {1: State.READY}


def test_an_unloaded_model_can_be_loaded_again(tmp_path: Path) -> None:
    """An unloaded model is UNAVAILABLE for that reason, keeps nobody waiting, and is back once it is loaded."""
    put(tmp_path)
    put(tmp_path, "other")
    repository = loaded(tmp_path)
    for _ in range(2):
        repository.unload("tiny")
        assert [(entry.state, entry.reason) for entry in repository.versions("tiny")] == [("UNAVAILABLE", UNLOADED)]
    with pytest.raises(NotReady, match=r"UNAVAILABLE: unloaded\. Whoever runs the server must load it again"):
        repository.ready("tiny")
    assert repository.is_ready(strict=True)
    assert repository.ready()[0].name == "other"
    repository.load("tiny")
    assert states(repository) == {1: State.READY}
    with pytest.raises(NotFound):
        repository.unload("never")


def test_what_others_do_not_serve_is_left_aside(tmp_path: Path) -> None:
    """What others know as unloaded, as failed later, or not at all is so here too, until it is asked for."""
    for version, text in (("1", "affine"), ("2", "affine"), ("3", "?"), ("4", "affine")):
        put(tmp_path, version=version, text=text)
    known = {1: Known(False, True), 2: Known(True, False), 3: Known(False, False), 9: Known(False, True)}
    repository = loaded(tmp_path, known={("tiny", version): each for version, each in known.items()})
    assert states(repository) == {1: State.READY, 2: State.UNAVAILABLE, 3: State.UNAVAILABLE}
    assert [entry.reason == UNLOADED for entry in repository.entries] == [False, True, False]
    assert repository.is_ready(strict=True)
    with pytest.raises(Conflict, match="version 3"):
        repository.load("tiny")
    assert states(repository) == {1: State.READY, 2: State.READY, 3: State.UNAVAILABLE, 4: State.READY}


def test_what_is_loaded_is_shown(tmp_path: Path) -> None:
    """While a version is loaded for the first time it is LOADING, and one that serves stays READY."""
    put(tmp_path)
    seen = []

    def loader(path: Path, golden: Golden | None) -> TinyFlow:
        seen.append({entry.version: entry.state for entry in repository.entries})
        assert path.parent.name == "1" or repository.is_ready(strict=True)
        return tiny_loader(path, golden)

    repository = Repository(tmp_path, loader=loader, max_batch_rows=8)
    repository.load_all()
    put(tmp_path, version="2")
    write(tmp_path, "plain")
    repository.load("tiny")
    assert seen[1:] == [{1: State.READY, 2: State.LOADING}] * 2
