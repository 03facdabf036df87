"""Files of keys."""

from pathlib import Path
from typing import Any

from app.keys import line_of, new_key


def write_keys(path: Path, *names: str) -> dict[str, str]:
    """Write a file of new keys in the place of another one, and return them by name."""
    keys = {name: new_key() for name in names}
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text("# who may come in\n\n" + "".join(f"{line_of(*item)}\n" for item in keys.items()))
    fresh.replace(path)
    return keys


def controlling(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings that let an admin load and unload, and the admin's headers; the keys lie in the folder."""
    path = folder / "admins.txt"
    keys = write_keys(path, "ada")
    return {"repository_control": True, "admin_keys_file": path}, {"X-API-Key": keys["ada"]}
