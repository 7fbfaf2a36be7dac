"""How far the work is."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeAlias

log = logging.getLogger("cryptflow")
#: The level at which steps are logged.
DEBUG = logging.DEBUG

#: Who is told: nobody (`False`), a bar (`True`), a function of how many of how many are done and of what is
#: being done, or a class of bars with tqdm's protocol. `None` is a bar where somebody looks and tqdm is there.
Wanted: TypeAlias = "bool | Callable[[int, int, str], object] | type | None"

#: Seconds after which a bar is worth showing.
_DELAY = 0.5


class Progress:
    """Tells whoever wants to know. Use it in a `with`: its bar is closed at the end."""

    def __init__(self, wanted: Wanted, level: int) -> None:
        self._level = level
        self._function: Callable[[int, int, str], object] | None = None
        self._class: Callable[..., Any] | None = None
        self._bar: Any = None
        if isinstance(wanted, type):
            self._class = wanted
        elif callable(wanted):
            self._function = wanted
        elif wanted or (wanted is None and _looks()):
            self._class = _tqdm(required=bool(wanted))

    def callback(self) -> Callable[[int, int, str], object] | None:
        """What is to be called; nothing where nobody listens."""
        heard = self._function or self._class or log.isEnabledFor(self._level)
        return self._tell if heard else None

    def _tell(self, done: int, total: int, what: str) -> None:
        if total == 0 or self._level == logging.DEBUG:
            log.log(self._level, "%s", what)
        if self._function is not None:
            self._function(done, total, what)
        if self._class is not None:
            if self._bar is None or (total and self._bar.total != total):
                self._close()
                self._bar = self._class(total=total or None, desc="cryptflow", leave=False, delay=_DELAY)
            self._bar.set_postfix_str(what, refresh=False)
            self._bar.update(max(0, done - self._bar.n))

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


def _looks() -> bool:
    """Whether somebody looks: at a terminal, or at a notebook."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


def _tqdm(required: bool) -> Callable[..., Any] | None:
    try:
        bars: Callable[..., Any] = importlib.import_module("tqdm.auto").tqdm
        return bars
    except ImportError:
        if required:
            from cryptflow.errors import MissingError

            raise MissingError(
                "progress=True needs tqdm: pip install tqdm; or give a function of (done, total, what)"
            ) from None
        return None
