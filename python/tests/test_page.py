"""The gateway's page, in a browser, in front of three organisations."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cryptflow as cf
from browser import PATIENCE, Browser, found
from organisations import command, free_port, organisations, serving

CHROMIUM = found()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: the gateway's page is not tested in a browser")

DIGITS = Path(__file__).parents[2] / "models" / "digits"


@dataclass
class Place:
    """Where a gateway is served, to whom, and how to start it again."""

    address: str
    key: str
    config: Path
    more: list[str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, program: cf.Program) -> Iterator[Place]:
    """Three organisations that keep a model, and a key of a gateway that may be started."""
    folder = tmp_path_factory.mktemp("page")
    with organisations(folder) as client:
        cf.Site(client).deploy(program, "digits")
        keys = folder / "keys.toml"
        key = command("gateway", "key", "tests", "--keys", keys).stdout.strip()
        more = ["--keys", str(keys), "--labels", f"digits={DIGITS / 'labels.txt'}"]
        yield Place(f"127.0.0.1:{free_port()}", key, client / "cryptflow.toml", more)


@pytest.fixture
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None
    with Browser(CHROMIUM) as one:
        one.emulate(1000)
        yield one


def rows(folder: Path) -> tuple[Path, Path]:
    """The inputs of the small network, in two files: a table of five rows, and an array of the others."""
    inputs = np.load(DIGITS / "inputs.npy").astype(np.float32)
    table, array = folder / "five.csv", folder / "others.npy"
    np.savetxt(table, inputs[:5].reshape(5, -1), delimiter=",")
    np.save(array, inputs[5:])
    return table, array


def enter(browser: Browser, place: Place) -> None:
    """Gives the key, with the keyboard."""
    browser.open(f"http://{place.address}/")
    browser.wait("!document.getElementById('door').hidden")
    assert browser.focused() == "key"
    browser.type(place.key)
    browser.press("Enter")
    browser.wait("document.getElementById('takes').textContent.startsWith('Takes')")


def ask(browser: Browser, *files: Path) -> None:
    """Gives files and asks, with the keyboard."""
    browser.tab_to("files")
    browser.choose_files(*files)
    browser.wait(f"document.querySelectorAll('#given li').length === {len(files)}")
    browser.tab_to("run")
    browser.press("Enter")


def shots(browser: Browser, name: str, folder: Path) -> None:
    """Pictures of the page: in the light, in the dark, and on a phone, where nothing may stand out to the side. They are kept where
    CRYPTFLOW_SCREENSHOTS says."""
    folder = Path(os.environ.get("CRYPTFLOW_SCREENSHOTS", folder))
    grounds = []
    for kind, width, dark in [("light", 1000, False), ("dark", 1000, True), ("phone", 375, False), ("phone-dark", 375, True)]:
        browser.emulate(width, dark=dark, phone=width < 500)
        browser.picture(folder / f"{name}-{kind}.png")
        grounds.append(browser.value("getComputedStyle(document.body).backgroundColor"))
        assert browser.value("document.documentElement.scrollWidth") <= width, f"{name}-{kind} is too wide"
        assert browser.pale() == [], f"{name}-{kind}: text is hard to read"
    assert grounds[0] == grounds[2] != grounds[1] == grounds[3]
    browser.emulate(1000)


def kept(folder: Path, name: str) -> Path:
    """A file that the page gave to keep."""
    end = time.monotonic() + PATIENCE
    while not (folder / name).exists():
        assert time.monotonic() < end, f"there is no {name}"
        time.sleep(0.05)
    return folder / name


def test_a_person_asks_with_the_keyboard_alone(place: Place, browser: Browser, tmp_path: Path) -> None:
    files = rows(tmp_path)
    with serving(place.config, place.address, *place.more):
        browser.downloads_to(tmp_path)
        # A key that is not known opens nothing.
        browser.open(f"http://{place.address}/")
        browser.wait("!document.getElementById('door').hidden")
        browser.type("cryptflow-00")
        browser.press("Enter")
        browser.wait("document.getElementById('key-error').textContent.includes('does not know')")
        assert browser.value("document.getElementById('room').hidden")
        shots(browser, "door", tmp_path)
        enter(browser, place)
        assert "8 × 8 grey" in browser.text("#takes")
        assert "nowhere else. The parties take shares only" in browser.text("main")
        assert browser.nameless() == []
        shots(browser, "start", tmp_path)

        ask(browser, *files)
        browser.wait("!document.getElementById('answer').hidden || document.getElementById('wrong').textContent")
        assert browser.focused() == "answer-title", browser.text("#wrong")
        shots(browser, "answer", tmp_path)
        assert browser.nameless() == []

        # All of it is what the command says.
        arguments = ["predict", "digits", "--json", "--config", place.config, "--labels", DIGITS / "labels.txt", "--input", *files]
        said = json.loads(command(*arguments).stdout)
        names = ["five.csv[0]", "five.csv[4]", "others.npy[0]"]
        while not browser.value("document.getElementById('more').hidden"):
            browser.tab_to("more")
            browser.press("Enter")
        labels = browser.value("[...document.querySelectorAll('.what')].map((label) => label.textContent)")
        assert labels == said["labels"]
        assert len(labels) == len(np.load(DIGITS / "inputs.npy"))
        shown = browser.text("#rows")
        assert all(name in shown for name in names)
        first = browser.value("[...document.querySelectorAll('.bars')[0].querySelectorAll('.label')].map((bar) => bar.textContent)")
        assert first == [ranked["label"] for ranked in said["top"][0]]

        # What was proved is nothing, and what was sent has a line for every way.
        assert browser.text("#proved").count("What it runs: not proved.") == 3
        ways = browser.value("[...document.querySelectorAll('#links tr')].map((way) => way.textContent)")
        for party in ["p0", "p1", "p2"]:
            assert any(way.startswith(f"This gateway →  to {party}") for way in ways), ways
            assert any(way.startswith(f"{party} →  to This gateway") for way in ways), ways
        sent = said["bytes"]["links"]["p0_p1"]
        assert any(way.startswith("p0 →  to p1") and way.endswith(f"{sent:,}") for way in ways), ways

        # Both files to keep, with all of the answer.
        for button in ["json", "csv"]:
            browser.tab_to(button)
            browser.press("Enter")
        answer: dict[str, Any] = json.loads(kept(tmp_path, "digits-answer.json").read_text())
        classes = np.load(DIGITS / "classes.npy").tolist()
        assert answer["outputs"][0]["data"] == classes
        with kept(tmp_path, "digits-answer.csv").open() as table:
            lines = list(csv.reader(table))
        assert lines[0] == ["row", "prediction label", "prediction"]
        assert [line[1:] for line in lines[1:]] == [[label, str(c)] for label, c in zip(labels, classes, strict=True)]

        # The browser took nothing from elsewhere, and has found nothing wrong but the key.
        ours = (f"http://{place.address}/", f"blob:http://{place.address}/")
        assert all(address.startswith(ours) for address in browser.addresses())
        assert [what for what in browser.complaints() if "401" not in what] == []


def test_what_goes_wrong_is_said_and_nothing_is_lost(place: Place, browser: Browser, tmp_path: Path) -> None:
    table, _ = rows(tmp_path)
    with serving(place.config, place.address, *place.more):
        enter(browser, place)
        browser.tab_to("run")
        browser.press("Enter")
        assert (browser.text("#wrong"), browser.focused()) == ("Give a file first.", "wrong")
        # In the client's own words.
        ask(browser, DIGITS / "digit_seven.png")
        browser.wait("document.getElementById('wrong').textContent.includes('are these pixels from 0 to 255?')")
        assert browser.focused() == "wrong"
        shots(browser, "wrong", tmp_path)
        browser.press("Tab", shift=True)
        assert browser.value("document.activeElement.getAttribute('aria-label')") == "Remove digit_seven.png"
        browser.press("Enter")
        browser.wait("document.querySelectorAll('#given li').length === 0")
        assert browser.focused() == "files"
    # The gateway goes; when it is back, the same files have their answer.
    ask(browser, table)
    browser.wait("document.getElementById('wrong').textContent.includes('cannot be reached')")
    assert "Nothing is lost" in browser.text("#wrong")
    assert browser.focused() == "again"
    with serving(place.config, place.address, *place.more):
        browser.press("Enter")
        browser.wait("!document.getElementById('answer').hidden")
        assert browser.value("document.querySelectorAll('.what').length") == 5
