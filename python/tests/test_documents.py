"""Every Python snippet of the documents runs as it is printed, those of a page one after another."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import warnings
from pathlib import Path

import pytest
from conftest import DIGITS
from organisations import organisations

import cryptflow as cf

ROOT = Path(__file__).resolve().parents[2]
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: What looks like Python, where it is not in a snippet.
LOOSE = re.compile(r"^( {4,}|\t).*(^\s*import \w|\bcf\.\w+\(|\bcryptflow\.\w+\()|^ {4,}(import|from) \w")
PAGES = ["README.md", "python/README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))]
WITH_SNIPPETS = [page for page in PAGES if "```python" in (ROOT / page).read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", WITH_SNIPPETS)
def test_snippets(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page takes for granted (a trained model, say) is made by the file of its name in `pages/`."""
    for framework in ("keras", "tensorflow", "sklearn", "onnx", "pandas", "PIL", "matplotlib"):
        pytest.importorskip(framework)
    text = (ROOT / page).read_text(encoding="utf-8")
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    names: dict[str, object] = {"__name__": "snippets"}
    left_out = []
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "cf.Site(" in text:
            site = stack.enter_context(organisations(tmp_path))
            for name in ("site", "owner"):
                (tmp_path / name).symlink_to(site)
            if ".deploy(" not in text:
                program = cf.compile(DIGITS / "model.pb", DIGITS / "calibration.npy", progress=False)
                names["digest"] = cf.Site(site).deploy(program, "digits")
        before = Path(__file__).with_name("pages") / (page.replace("/", "-").removesuffix(".md") + ".py")
        if before.exists():
            exec(compile(before.read_text(encoding="utf-8"), str(before), "exec"), names)
        for index, snippet in enumerate(SNIPPET.findall(text)):
            needed = {"torch": r"\btorch\.", "skl2onnx": r"\bfrom skl2onnx\b"}
            if any(re.search(use, snippet) and importlib.util.find_spec(name) is None for name, use in needed.items()):
                left_out.append(index + 1)
                continue
            exec(compile(snippet, f"{page}, snippet {index + 1}", "exec"), names)
    if left_out:
        pytest.skip(f"all ran but {left_out} of {page}, which need PyTorch or skl2onnx")


@pytest.mark.parametrize("page", PAGES)
def test_python_is_in_snippets(page: str) -> None:
    """What is printed as Python, and is not run, would be wrong one day."""
    assert LOOSE.search("    import keras") and LOOSE.search("    program = cf.load(path)")
    rest = SNIPPET.sub("", (ROOT / page).read_text(encoding="utf-8"))
    assert not [line for line in rest.splitlines() if LOOSE.search(line)]
