"""API keys: who has one. Files hold digests alone, and may be changed while the service runs."""

import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TypeAlias

logger = logging.getLogger("gyoza.keys")

PREFIX = "gyoza_"
"""Every key begins so: whoever looks for leaked secrets finds it."""
KEY_BYTES = 32
"""So many are drawn; of that many, SHA-256 alone gives nothing away, without salt or a slow function."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
LOOK_AGAIN_S = 1.0
"""A file is looked at no more often than that."""


class Key(NamedTuple):
    """Whose key it is."""

    name: str
    admin: bool
    """Whether it opens what changes the service, too."""


class KeysFileError(Exception):
    """A file of keys can't be read; the text names it, and says what must hold and what to do."""


Known: TypeAlias = tuple[tuple[bytes, Key], ...]
"""Digests, and whose they are."""


class KeysFile:
    """The keys of a file, read again when the file changes.

    Args:
        path: Lines ``name:sha256``; blank lines and those that begin with ``#`` are left aside.
        admin: Whether its keys are those of admins.

    Raises:
        KeysFileError: It can't be read now. Later, the keys that are known stay as they are then.
    """

    def __init__(self, path: Path, *, admin: bool) -> None:
        """Read the file."""
        self._path = path
        self._admin = admin
        self._seen = state_of(path)
        self.known = read_keys(path, admin=admin)

    def look_again(self) -> None:
        """Read the file if it is another one than the last time."""
        seen = state_of(self._path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.known = read_keys(self._path, admin=self._admin)
        except KeysFileError as error:
            logger.warning("%s Until then the keys that were known before stay in force.", error)
        else:
            logger.info("the keys of %s are now: %s", self._path, ", ".join(key.name for _, key in self.known))


class KeyRing:
    """Every key that is known.

    Args:
        api: The file of those that may call; None: there is none.
        admin: The file of those that may also change the service; None: there is none.

    Raises:
        KeysFileError: A file can't be read.
    """

    def __init__(self, api: Path | None, admin: Path | None) -> None:
        """Read the files; a key that stands in both is an admin's."""
        found = ((api, False), (admin, True))
        self._files = [KeysFile(path, admin=is_admin) for path, is_admin in found if path is not None]
        self._look_at = time.monotonic() + LOOK_AGAIN_S

    def owner(self, sent: Iterable[bytes]) -> Key | None:
        """Return whose key was sent, an admin's rather than another one; None if no key that is known was."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_AGAIN_S
            for file in self._files:
                file.look_again()
        found = None
        for key in sent:
            digest = sha256(key).digest()
            # All are compared, whichever fits, so that the time tells nothing.
            for file in self._files:
                for known, owner in file.known:
                    if hmac.compare_digest(digest, known) and (found is None or owner.admin):
                        found = owner
        return found


def state_of(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written or replaced, None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a third of the time, once a second between two requests.
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_keys(path: Path, *, admin: bool) -> Known:
    """Read a file of keys.

    Raises:
        KeysFileError: There is no such file, no key in it, or a line that is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise KeysFileError(f"{path} must be a file of API keys, and can't be read: {why}. Mend it.") from error
    written = ((number, line.strip()) for number, line in enumerate(lines, 1))
    known = tuple(
        parsed(line, f"{path}, line {number},", admin=admin)
        for number, line in written
        if line and not line.startswith("#")
    )
    if not known:
        raise KeysFileError(f"{path} must hold at least one API key, and holds none. Add the line of `gyoza key NAME`.")
    return known


def parsed(line: str, place: str, *, admin: bool) -> tuple[bytes, Key]:
    """Read a line; what it holds is not told, since it may be a key itself.

    Raises:
        KeysFileError: It is no name and digest.
    """
    name, _, digest = line.partition(":")
    if not NAME.fullmatch(name) or not DIGEST.fullmatch(digest):
        raise KeysFileError(
            f"{place} must be name:sha256, the digest in 64 hexadecimal digits. Make it by `gyoza key NAME`."
        )
    return bytes.fromhex(digest), Key(name, admin)


def new_key() -> str:
    """Draw a key."""
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def line_of(name: str, key: str) -> str:
    """Return the line of a key for a file of keys."""
    return f"{name}:{sha256(key.encode()).hexdigest()}"
