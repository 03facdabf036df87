"""Links of the guides lead somewhere: to files of the checkout, and to headings that are there."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def listed() -> list[str]:
    """Return the files that git tracks, or would if they were added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.check_output(command, cwd=ROOT, text=True).splitlines()


def links_of(text: str) -> list[str]:
    """Return the relative links of a guide; in code, brackets mean something else."""
    return [link for link in LINK.findall(re.sub(r"`[^`\n]*`", "", BLOCK.sub("", text))) if "://" not in link]


def anchors_of(text: str) -> set[str]:
    """Return what headings are called in links: in small letters, spaces as hyphens, without punctuation."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(BLOCK.sub("", text))
    }


def leads_somewhere(link: str, guide: Path, places: set[str]) -> bool:
    """Whether a link of a guide names one of the places, and a heading in it where it says so."""
    path, _, anchor = link.partition("#")
    target = (guide.parent / path).resolve() if path else guide
    if not target.is_relative_to(ROOT) or target.relative_to(ROOT).as_posix() not in places:
        return False
    return not anchor or anchor in anchors_of(target.read_text(encoding="utf-8"))


def test_every_link_leads_somewhere() -> None:
    """Each relative link of a guide names a file or a folder of the checkout, and a heading in it where it says so."""
    files = listed()
    places = {*files} | {parent.as_posix() for file in files for parent in Path(file).parents}
    guides = [ROOT / file for file in files if file.endswith(".md")]
    links = [(guide, link) for guide in guides for link in links_of(guide.read_text(encoding="utf-8"))]
    assert len(links) > 50
    assert [(guide, link) for guide, link in links if not leads_somewhere(link, guide, places)] == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    """A file that is not there, one outside the checkout, and a heading that is not in a guide are each told from good ones."""
    guide, places = ROOT / "README.md", {"README.md", "app/README.md", "app"}
    assert all(
        leads_somewhere(link, guide, places) for link in ("#settings", "app", "app/README.md#draws", "README.md")
    )
    assert not any(
        leads_somewhere(link, guide, places) for link in ("#nothing", "apps", "app/README.md#a", "../README.md")
    )
