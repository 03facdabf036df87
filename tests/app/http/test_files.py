"""How many files a process may have open."""

import resource
from collections.abc import Iterator

import pytest

from app.http import files
from app.http.files import ENOUGH, raise_file_limit

FILES = resource.RLIMIT_NOFILE


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Leave the limit as it was."""
    limits = resource.getrlimit(FILES)
    yield
    resource.setrlimit(FILES, limits)


def test_the_limit_is_raised_as_far_as_it_may() -> None:
    """A low limit is raised to the hard one or to what is enough; the hard one stays."""
    _, hard = resource.getrlimit(FILES)
    resource.setrlimit(FILES, (512, hard))
    raise_file_limit()
    assert resource.getrlimit(FILES) == (min(hard, ENOUGH) if hard != resource.RLIM_INFINITY else ENOUGH, hard)


@pytest.mark.parametrize("have", [(ENOUGH + 1, ENOUGH + 2), (resource.RLIM_INFINITY, resource.RLIM_INFINITY), (9, 9)])
def test_a_limit_is_never_lowered(have: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has more than enough, or all that may be had, keeps it."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: have)
    monkeypatch.setattr(resource, "setrlimit", lambda *_: pytest.fail("It was set."))
    raise_file_limit()


def test_a_limit_that_can_not_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system refuses, or knows no such limit, nothing happens."""

    def refuse(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (9, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_file_limit()
    monkeypatch.setattr(files, "resource", None)
    raise_file_limit()
