"""The snippets of the documents run as they are printed, one after another."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["docs/python.md"])
def test_snippets(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for framework in ("keras", "tensorflow", "sklearn"):
        pytest.importorskip(framework)
    snippets = SNIPPET.findall((ROOT / page).read_text(encoding="utf-8"))
    assert snippets
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "snippets"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for index, snippet in enumerate(snippets):
            exec(compile(snippet, f"{page}, snippet {index + 1}", "exec"), names)
