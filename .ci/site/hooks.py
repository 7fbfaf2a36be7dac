"""What the site has beside the pages of docs/: the root's Markdown files, and the notebooks of examples/.

Links are written as they are right in the source tree. Here each is turned into one that is right in the site; what the site does
not have (folders, sources) becomes a path to read. A link to what is nowhere stays as it is, and mkdocs refuses it.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]

#: Pages that are made of files outside of docs/.
MADE = {
    **{f"project/{name}.md": f"{name}.md" for name in ("ARCHITECTURE", "CONTRIBUTING", "LEXICON", "SECURITY")},
    **{f"examples/{path.stem}.md": f"examples/{path.name}" for path in sorted((ROOT / "examples").glob("*.ipynb"))},
}
#: Where the site has what a file of the tree says.
PAGES = {source: page for page, source in MADE.items()} | {"README.md": "index.md"}

LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"^(```.*?^```[ \t]*$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are made."""
    for page, source in MADE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=notebook(source, text) if source.endswith(".ipynb") else text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turns links, outside of blocks of code."""
    here = page.file.src_uri
    source = MADE.get(here, f"docs/{here}")
    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(lambda link: turned(link, source, here), part) for part in parts)


def turned(link: re.Match[str], source: str, here: str) -> str:
    """A link that is right in the tree, as one that is right in the site."""
    text, target = link.groups()
    if "://" in target or target.startswith(("#", "mailto:")):
        return link[0]
    path, _, anchor = target.partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    page = PAGES.get(path, path.removeprefix("docs/") if path.startswith("docs/") and path.endswith(".md") else None)
    if page is not None:
        relative = posixpath.relpath(page, posixpath.dirname(here) or ".")
        return f"[{text}]({relative}{'#' + anchor if anchor else ''})"
    if not (ROOT / path).exists():
        return link[0]
    return f"`{path}`" if text.strip("`") == path else f"{text} (`{path}`)"


def notebook(source: str, text: str) -> str:
    """A notebook's cells, one below another."""
    cells = []
    for cell in json.loads(text)["cells"]:
        content = "".join(cell["source"])
        cells.append(content if cell["cell_type"] == "markdown" else f"```python\n{content}\n```")
    said = f"*This page is the notebook `{source}`: it runs from top to bottom in seconds, without the network.*"
    title, *rest = cells
    return "\n\n".join([title, said, *rest]) + "\n"
