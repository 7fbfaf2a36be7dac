"""Checks the site that was built: every link and every anchor leads somewhere, and nothing is loaded from a network.

    python .ci/site/links.py FOLDER
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a browser loads by itself.
LOADED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"), ("object", "data")}
#: Links of a head that load nothing.
KEPT = {"canonical", "prev", "next", "alternate"}
IN_STYLES = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")]+)")


class Page(HTMLParser):
    """The names, the links and the loads of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attributes if value is not None}
        self.names.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and "href" in given and given.get("rel") not in KEPT:
            self.loads.append(given["href"])
        self.loads += [value for name, value in given.items() if (tag, name) in LOADED]


def meant(link: str, page: Path, site: Path) -> Path:
    """The file that a link of a page means."""
    path = unquote(urlsplit(link).path)
    # The page for what is not found may be shown anywhere, so that its links begin at the root.
    target = (site / path.lstrip("/") if path.startswith("/") else page.parent / path).resolve() if path else page
    return target / "index.html" if target.is_dir() else target


def faults(site: Path) -> list[str]:
    """What is wrong with a site, one line each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    if not pages:
        return [f"there are no pages in {site}"]
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        for load in page.loads:
            if urlsplit(load).netloc:
                found.append(f"{name} loads {load} from the network")
            elif not meant(load, path, site).exists():
                found.append(f"{name} loads {load}, which is not there")
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = meant(link, path, site)
            if not target.exists():
                found.append(f"{name} links to {link}, which is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                found.append(f"{name} links to {link}, and there is no such place in that page")
    for path in sorted(site.rglob("*.css")):
        found += [f"{path.relative_to(site)} loads {load} from the network" for load in IN_STYLES.findall(path.read_text(encoding="utf-8"))]
    return found


if __name__ == "__main__":
    lines = faults(Path(sys.argv[1]).resolve())
    print("\n".join(lines) or "every link leads somewhere, and nothing is loaded from a network")
    sys.exit(bool(lines))
