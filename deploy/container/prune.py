"""Take out of an environment what no server reads, and compile the rest: ``python prune.py FOLDER``.

What goes is there to build against packages, to test them, to check types, or to parse C: headers, sources of extensions, static
libraries, tests, stubs, and libclang, which TensorFlow pins and never imports; and of libraries what a debugger alone reads.
"""

import compileall
import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

FOLDERS = frozenset({"__pycache__", "clang", "include", "tests"})
ENDINGS = frozenset({".a", ".c", ".cc", ".cpp", ".cu", ".h", ".hpp", ".pxd", ".pxi", ".pyi", ".pyx"})
TESTS = ("_test.py", "conftest.py")
KEPT = ".dist-info"
"""What tells of a package, its licences among it, stays whole."""
LIBRARIES = "*.so*"
ELF_64 = b"\x7fELF\x02\x01"
"""How a library of 64 bits, the lowest first, begins."""
SEGMENTS_AT, SECTIONS_AT, SEGMENTS, SECTIONS = 0x20, 0x28, 0x36, 0x3C
"""Where its header tells of segments, which are loaded, and of sections, which only tools read: where, and how many."""


def prune(root: Path) -> None:
    """Remove what no server reads, and write the bytecode of what is left beside it."""
    for path in list(unread(root)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in root.rglob(LIBRARIES):
        if path.is_file() and not path.is_symlink():
            strip(path)
    # Unchecked: nothing in an image changes, and copying it from stage to stage must not make it stale.
    if not compileall.compile_dir(root, quiet=1, workers=0, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH):
        sys.exit(f"All Python files below {root} must compile, and some do not")


def unread(folder: Path) -> Iterator[Path]:
    """Yield the folders and files that go; what lies in such a folder is not yielded by itself."""
    for path in folder.iterdir():
        if path.is_symlink() or path.name.endswith(KEPT):
            continue
        if path.is_dir():
            yield from [path] if path.name in FOLDERS else unread(path)
        elif path.suffix in ENDINGS or path.name.endswith(TESTS):
            yield path


def strip(library: Path) -> None:
    """Cut off what follows a library's segments: symbols, and tables for debuggers; another file stays as it is."""
    with library.open("r+b") as file:
        header = file.read(64)
        if not header.startswith(ELF_64):
            return
        (table,), (size, count) = (
            struct.unpack_from("<Q", header, SEGMENTS_AT),
            struct.unpack_from("<HH", header, SEGMENTS),
        )
        file.seek(table)
        segments = [struct.unpack_from("<8xQ16xQ", file.read(size)) for _ in range(count)]
        file.truncate(max(table + size * count, *(offset + length for offset, length in segments)))
        file.seek(SECTIONS_AT)
        file.write(struct.pack("<Q", 0))
        file.seek(SECTIONS)
        file.write(struct.pack("<HH", 0, 0))


if __name__ == "__main__":
    prune(Path(sys.argv[1]))
