"""What MkDocs does beside turning `docs/*.md` into pages: links to files of the repository lead to pages that show them
with their lines, and every room of the package gets a page of its docstrings."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation, Section
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "workflow_scripts" / "polyprune"
_LINK = re.compile(r"\]\(\.\./([\w./-]+)(?:#L(\d+))?\)")
_LANGUAGES = {".py": "python", ".smk": "python", ".yaml": "yaml", ".sh": "bash"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made: sources that pages link to, and a page of docstrings a room."""
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")]
    for name in sorted({name for text in pages for name, _ in _LINK.findall(text)}):
        files.append(File.generated(config, f"source/{name}.md", content=_source(name)))
    for room in rooms():
        files.append(File.generated(config, f"api/{room}.md", content=_docstrings(room)))
    return files


def rooms() -> list[str]:
    """Folders of the package that hold modules, with dots for slashes; `polyprune` is the package's own modules."""
    folders = sorted({path.parent for path in PACKAGE.rglob("*.py") if _modules(path.parent)})
    return [".".join(("polyprune", *folder.relative_to(PACKAGE).parts)) for folder in folders]


def _modules(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _docstrings(room: str) -> str:
    folder = PACKAGE.joinpath(*room.split(".")[1:])
    return f"# {room}\n\n" + "".join(f"## {name}\n\n::: {room}.{name}\n\n" for name in _modules(folder))


def _source(name: str) -> str:
    text = (ROOT / name).read_text(encoding="utf-8")
    language = _LANGUAGES.get(Path(name).suffix, "text")
    return f'# {Path(name).name}\n\n`{name}`\n\n```{language} linenums="1"\n{text}```\n'


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links out of `docs/` lead to the page of the source, at the line."""

    def to_page(match: re.Match[str]) -> str:
        target = posixpath.relpath(f"source/{match[1]}.md", posixpath.dirname(page.file.src_uri) or ".")
        return f"]({target}#__codelineno-0-{match[2]})" if match[2] else f"]({target})"

    return markdown if page.file.src_uri.startswith("source/") else _LINK.sub(to_page, markdown)


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """The rooms' pages stand last in the navigation."""
    pages: list[Any] = [Page(room, files.get_file_from_path(f"api/{room}.md"), config) for room in rooms()]  # type: ignore[arg-type]
    nav.items.append(Section("Package", pages))
    return nav
