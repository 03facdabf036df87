"""Versions appear whole, each under a number of its own."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from app.repository.finding import find_entries
from gyoza.packaging import versions
from gyoza.packaging.versions import drafting, next_number


def publish(models: Path, name: str = "mine", text: str = "a flow") -> Path:
    """Publish a version of one file."""
    with drafting(models, name) as draft:
        (draft.folder / "flow.keras").write_text(text)
        return draft.publish()


def test_versions_are_counted(tmp_path: Path) -> None:
    """The first version is 1, each further one the next behind the highest, whether that is a version or not."""
    assert publish(tmp_path / "models") == tmp_path / "models" / "mine" / "1"
    assert publish(tmp_path / "models").name == "2"
    (tmp_path / "models" / "mine" / "007").mkdir()
    (tmp_path / "models" / "mine" / "12").write_text("a file")
    (tmp_path / "models" / "mine" / "notes").mkdir()
    assert next_number(tmp_path / "models" / "mine") == 13
    assert publish(tmp_path / "models").name == "13"
    assert publish(tmp_path / "models", "other").name == "1"


def test_nobody_sees_a_draft(tmp_path: Path) -> None:
    """While a version is written the service finds what it found before, of a new model and of one that is there."""
    for _ in range(2):
        before = list(find_entries(tmp_path))
        with drafting(tmp_path, "mine") as draft:
            (draft.folder / "flow.keras").write_text("half a fl")
            assert list(find_entries(tmp_path)) == before
            draft.publish()
        assert len(find_entries(tmp_path)) == len(before) + 1


def test_nothing_is_left_of_a_draft(tmp_path: Path) -> None:
    """What fails, or is interrupted, leaves nothing, neither beside other versions nor where there was no model."""
    publish(tmp_path, "there")
    before = sorted(tmp_path.rglob("*"))

    def interrupted(name: str) -> None:
        with drafting(tmp_path, name) as draft:
            (draft.folder / "flow.keras").write_text("half a fl")
            raise KeyboardInterrupt

    for name in ("there", "new"):
        with pytest.raises(KeyboardInterrupt):
            interrupted(name)
    assert sorted(tmp_path.rglob("*")) == before


def test_many_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    """Those who publish at the same time all get a version, and each of them what it wrote."""
    together = Barrier(8)

    def one(number: int) -> tuple[str, str]:
        with drafting(tmp_path, "mine") as draft:
            (draft.folder / "flow.keras").write_text(str(number))
            together.wait()
            return str(number), draft.publish().name

    with ThreadPoolExecutor(8) as pool:
        names = dict(pool.map(one, range(8)))
    assert sorted(names.values()) == [str(number) for number in range(1, 9)]
    for text, name in names.items():
        assert (tmp_path / "mine" / name / "flow.keras").read_text() == text


def test_the_folder_of_a_model_may_be_a_link(tmp_path: Path) -> None:
    """Where a model's folder is a link, drafts and versions lie where it leads."""
    (tmp_path / "store").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine").symlink_to(tmp_path / "store")
    with drafting(tmp_path / "models", "mine") as draft:
        assert draft.folder.resolve().parent == tmp_path / "store"
        draft.publish()
    assert (tmp_path / "store" / "1").is_dir()


def test_a_version_may_be_read_by_others(tmp_path: Path) -> None:
    """A version has the rights that new folders have, not those of a private temporary one."""
    (tmp_path / "like").mkdir()
    assert publish(tmp_path).stat().st_mode == (tmp_path / "like").stat().st_mode


@pytest.mark.parametrize("name", ["", ".hidden", "a.b", "a/b", "../a", "-a"])
def test_names_must_be_such_as_models_have(tmp_path: Path, name: str) -> None:
    """A name that no service takes is refused before anything is made."""
    with pytest.raises(ValueError, match="A model's name must match"):
        publish(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_loose_file_of_the_name_is_in_the_way(tmp_path: Path) -> None:
    """Beside a loose file of the model's name no folder is made, also where the file came meanwhile."""
    loose = tmp_path / "mine.keras"
    with drafting(tmp_path, "mine") as draft:
        loose.write_text("a flow")
        with pytest.raises(FileExistsError, match=f"move {re.escape(str(loose))} away"):
            draft.publish()
    with pytest.raises(FileExistsError, match="a folder or a loose file, not both"):
        publish(tmp_path)
    assert list(tmp_path.iterdir()) == [loose]


def test_a_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename that fails for another reason than a version that came first is no reason to try the next number."""
    with drafting(tmp_path, "mine") as draft:
        monkeypatch.setattr(versions, "next_number", lambda _: f"nowhere{os.sep}1")
        with pytest.raises(FileNotFoundError):
            draft.publish()
