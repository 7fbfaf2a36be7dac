"""A browser without a screen, driven over the protocol of its own developer tools (CDP), through two pipes: nothing to install but Chromium."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# How long the browser may take to answer, and a page to be as it should.
PATIENCE = 60

# What keys are to the browser: code, number, text.
KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " "), "ArrowDown": (40, ""), "ArrowUp": (38, ""), "Escape": (27, "")}


# Of every visible text: the colour, and that of the first ground behind it that is not to be seen through.
CONTRAST = """
(() => {
  const parts = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = (text) => {
    const [r, g, b] = parts(text).slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((parts(colour)[3] ?? 1) > 0.99) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const pale = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.closest(":disabled")) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) pale.push(`${ratio.toFixed(2)}: ${texts.currentNode.data.trim().slice(0, 40)}`);
  }
  return pale;
})()
"""


def found() -> str | None:
    """Where Chromium is; nothing where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page. Its methods wait, no longer than `PATIENCE`, and fail with what the browser said."""

    def __init__(self, executable: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="browser-")
        low, self._to = os.pipe()
        self._from, lower = os.pipe()
        # Above the descriptors that the browser expects them at.
        read, write = (fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (low, lower))
        arguments = [executable, "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage"]
        # Within a container, and as root, Chromium has no sandbox of its own.
        arguments += ["--no-sandbox", "--hide-scrollbars", f"--user-data-dir={self._folder}", "about:blank"]
        self._process = subprocess.Popen(
            # The browser reads from descriptor 3, and writes to 4.
            ["bash", "-c", f'exec "$@" 3<&{read} 4>&{write} {read}<&- {write}>&-', "browser", *arguments],
            pass_fds=(read, write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for ours in (low, lower, read, write):
            os.close(ours)
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._events: list[dict[str, Any]] = []
        self._news = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session: str | None = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM", "Network", "Accessibility"):
            self._ask(f"{domain}.enable")

    _session: str | None = None

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _listen(self) -> None:
        rest = b""
        while piece := os.read(self._from, 1 << 16):
            *messages, rest = (rest + piece).split(b"\0")
            with self._news:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._answers[message["id"]] = message
                    else:
                        self._events.append(message)
                self._news.notify_all()

    def _ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        with self._news:
            assert self._news.wait_for(lambda: number in self._answers, PATIENCE), f"the browser does not answer {method}"
            answer = self._answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def open(self, address: str) -> None:
        """Goes to an address, and waits until the page is loaded."""
        self._ask("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """The value of an expression in the page, as JSON has it."""
        result = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def wait(self, expression: str) -> None:
        """Waits until an expression is true in the page."""
        end = time.monotonic() + PATIENCE
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < end, f"never true: {expression}\n{self.text()}"
            time.sleep(0.05)

    def text(self, selector: str = "body") -> str:
        """What can be read there."""
        return str(self.value(f"document.querySelector({json.dumps(selector)}).innerText"))

    def press(self, key: str, *, shift: bool = False) -> None:
        """Presses a key and lets it go."""
        number, text = KEYS[key]
        same = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": number, "modifiers": 8 if shift else 0}
        self._ask("Input.dispatchKeyEvent", type="keyDown", text=text, **same)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **same)

    def type(self, text: str) -> None:
        """Writes into what has the focus."""
        self._ask("Input.insertText", text=text)

    def focused(self) -> str:
        """The id of what has the focus, or what it is where it has none."""
        return str(self.value("document.activeElement.id || document.activeElement.tagName"))

    def tab_to(self, element: str) -> None:
        """Presses Tab until the element of this id has the focus."""
        for _ in range(60):
            if self.focused() == element:
                return
            self.press("Tab")
        raise AssertionError(f"Tab never comes to {element}")

    def choose_files(self, *files: Path) -> None:
        """Opens the file chooser with the keyboard, where the focus is on what opens it, and chooses these."""
        self._ask("Page.setInterceptFileChooserDialog", enabled=True)
        self.press("Enter")
        opened = self.event("Page.fileChooserOpened")
        self._ask("DOM.setFileInputFiles", files=[str(file) for file in files], backendNodeId=opened["params"]["backendNodeId"])

    def event(self, method: str) -> dict[str, Any]:
        """The next event of this kind."""

        def of() -> dict[str, Any] | None:
            return next((event for event in self._events if event["method"] == method), None)

        with self._news:
            assert self._news.wait_for(of, PATIENCE), f"{method} never happens"
            event = of()
            assert event is not None
            self._events.remove(event)
            return event

    def addresses(self) -> list[str]:
        """What the browser has asked for so far."""
        with self._news:
            asked = [event for event in self._events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in asked]

    def complaints(self) -> list[str]:
        """What the browser has complained of: errors of scripts, and what the page's policy forbids."""
        with self._news:
            events = list(self._events)
        thrown = [str(event["params"]["exceptionDetails"]) for event in events if event["method"] == "Runtime.exceptionThrown"]
        logged = [event["params"]["entry"] for event in events if event["method"] == "Log.entryAdded"]
        return thrown + [f"{entry['text']} {entry.get('url', '')}" for entry in logged if entry["level"] == "error"]

    def nameless(self) -> list[str]:
        """What can have the focus, and has no name for who does not see it."""
        nodes = self._ask("Accessibility.getFullAXTree")["nodes"]
        found = []
        for node in nodes:
            properties = {one["name"]: one["value"].get("value") for one in node.get("properties", [])}
            name = node.get("name", {}).get("value")
            role = node.get("role", {}).get("value")
            if properties.get("focusable") and not node.get("ignored") and not name and role not in ("RootWebArea", "form"):
                found.append(str(role))
        return found

    def pale(self) -> list[str]:
        """Texts that stand out from their ground less than WCAG 2.2 demands for its level AA: 4.5 to 1."""
        return list(self.value(CONTRAST))

    def emulate(self, width: int, height: int = 900, *, dark: bool = False, phone: bool = False) -> None:
        """A window of this size, in the light or in the dark."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._ask("Emulation.setEmulatedMedia", features=features)

    def downloads_to(self, folder: Path) -> None:
        """What the page gives to keep goes there."""
        self._ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def picture(self, file: Path, *, whole: bool = True) -> None:
        """Takes a picture of the page."""
        taken = self._ask("Page.captureScreenshot", captureBeyondViewport=whole, **({"clip": self._clip()} if whole else {}))
        file.write_bytes(base64.b64decode(taken["data"]))

    def _clip(self) -> dict[str, Any]:
        size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
