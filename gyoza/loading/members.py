"""What an archive may hold, told by its directory before anything of it is unpacked.

``zipfile`` and so Keras go by the directory: of two members of a name they take the last one, other readers the first.
An archive that could be understood in two ways, or holds more than Keras writes, is refused.
"""

import itertools
import stat
import struct
import zipfile
from pathlib import PurePosixPath
from typing import BinaryIO

from gyoza.inference.files.content import LARGEST_FILE
from gyoza.inference.files.rules import require

__all__ = ["CONFIG", "LARGEST_CONFIG", "WEIGHTS", "check_directory", "check_members"]

CONFIG = "config.json"
"""The member that names the classes."""
METADATA = "metadata.json"
"""The member that names the version of Keras."""
WEIGHTS = "model.weights.h5"
"""The member that holds the weights."""
ASSETS = "assets"
"""The folder for what layers write beside their weights; none of gyoza's does."""

MOST_MEMBERS = 1_000
"""Three are usual; layers of one's own may write some more."""
LARGEST_DIRECTORY = 2**20
"""Bytes: a thousand members with long names. It is read before they can be counted."""
LARGEST_CONFIG = 8 * 2**20
"""Bytes: a network of five layers takes 10,000, so that hundreds of couplings fit. As objects they take ten times that."""
FREELY_INFLATED = 16 * 2**20
"""Bytes to which any member may inflate: too few to do harm."""
INFLATION = 4
"""A larger member may inflate by so much: Keras deflates nothing, and weights that somebody packed hardly deflate."""

HEAD = 30
"""Bytes before a member's name, behind which it lies."""
END = struct.Struct("<4s4H2LH")
"""The end of an archive; its sixth entry is the directory's size."""
LOCATOR = struct.Struct("<4sLQL")
"""What stands before it in an archive of more than 4 GiB, behind another such end."""
LARGE_END = struct.Struct("<4sQ2H2L4Q")
"""That other end; the last entry but one is the directory's size."""


def check_directory(file: BinaryIO) -> None:
    """Refuse an archive whose directory can't be found in one way only, or is large.

    Args:
        file: The archive.

    Raises:
        ValueError: It is such a one, or none.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - END.size - LOCATOR.size - LARGE_END.size))
    tail = file.read().rjust(END.size + LOCATOR.size + LARGE_END.size, b"\0")
    large_end, locator, end = (
        form.unpack_from(tail, place)
        for form, place in ((LARGE_END, 0), (LOCATOR, LARGE_END.size), (END, LARGE_END.size + LOCATOR.size))
    )
    require(end[0] == b"PK\5\6" and end[-1] == 0, "it does not end as an archive does that has no comment")
    is_large = locator[0] == b"PK\6\7"
    require(not is_large or large_end[0] == b"PK\6\6", "its directory must end right before the archive does")
    directory = large_end[-2] if is_large else end[5]
    require(
        directory <= LARGEST_DIRECTORY,
        f"its directory must have at most {LARGEST_DIRECTORY:,} bytes. Received: {directory:,}",
    )


def check_members(archive: zipfile.ZipFile, *, assets: bool) -> None:
    """Refuse an archive that holds what Keras does not write, or inflates to more than it may.

    Args:
        archive: The archive, of which only the directory was read.
        assets: Whether layers of one's own may have written files beside their weights.

    Raises:
        ValueError: It is such a one.
    """
    members = archive.infolist()
    names = sorted(member.filename for member in members)
    require(len(members) <= MOST_MEMBERS, f"it must have at most {MOST_MEMBERS:,} members. Received: {len(members):,}")
    twice = next((name for name, other in itertools.pairwise(names) if name == other), None)
    require(twice is None, f"each of its members must have a name of its own. Received: {twice!r:.80} twice")
    for member in members:
        check_member(member, assets=assets)
    check_places(archive)
    inflated = sum(member.file_size for member in members)
    require(
        inflated <= LARGEST_FILE, f"its members must inflate to at most {LARGEST_FILE:,} bytes. Received: {inflated:,}"
    )


def check_places(archive: zipfile.ZipFile) -> None:
    """Refuse members that share bytes with each other or with the directory, and so inflate to more than is there."""
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    starts = [*(member.header_offset for member in members), archive.start_dir]
    ends = [member.header_offset + HEAD + len(member.orig_filename) + member.compress_size for member in members]
    behind = all(end <= start for end, start in zip(ends, starts[1:], strict=True))
    require(behind, "its members must lie behind each other, and before its directory")


def check_member(member: zipfile.ZipInfo, *, assets: bool) -> None:
    """Refuse a member that Keras does not write, or that inflates to more than it may."""
    name = f"{member.filename!r:.80}"
    require(
        member.filename in {CONFIG, METADATA, WEIGHTS} or (assets and is_asset(member.filename)),
        f"it may hold {CONFIG}, {METADATA} and {WEIGHTS}{f', and files in {ASSETS}/' if assets else ''}. Received: {name}",
    )
    kind = stat.S_IFMT(member.external_attr >> 16)
    require(kind in {0, stat.S_IFREG, stat.S_IFDIR}, f"its members must be files. Received: {name}, a link or the like")
    require(not member.flag_bits & 1, f"its members must not be encrypted. Received: {name}")
    require(
        member.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED},
        f"its members must be stored or deflated. Received: {name}, packed by method {member.compress_type}",
    )
    most = max(FREELY_INFLATED, INFLATION * member.compress_size)
    require(
        member.file_size <= most,
        f"a member of {member.compress_size:,} bytes must inflate to at most {most:,}. Received: {name}, which inflates to "
        f"{member.file_size:,}",
    )
    require(
        member.filename != CONFIG or member.file_size <= LARGEST_CONFIG,
        f"{CONFIG} must have at most {LARGEST_CONFIG:,} bytes. Received: {member.file_size:,}",
    )


def is_asset(name: str) -> bool:
    """Whether a member lies in the folder for assets, wherever it is unpacked to."""
    parts = PurePosixPath(name).parts
    return len(parts) > 1 and parts[0] == ASSETS and not any(part == ".." or set(part) & set("\\:") for part in parts)
