"""What is told of programs and runs."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cryptflow.errors import in_python

#: Height of a page in a notebook.
_HEIGHT = 640


class Table(Sequence[Mapping[str, Any]]):
    """Rows with named columns: a list of mappings that shows itself as a table.

    `pandas.DataFrame(table)` makes a frame of it.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = list(rows)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._rows[0]) if self._rows else []

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            return [row[index] for row in self._rows]
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._rows)

    def __repr__(self) -> str:
        lines = [self.columns, *([_shown(value) for value in row.values()] for row in self._rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(column)}</th>" for column in self.columns)
        cells = ("".join(f"<td>{html.escape(_shown(v))}</td>" for v in row.values()) for row in self._rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{c}</tr>' for c in cells)}</tbody></table>"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "×".join(map(str, value)) or "scalar"
    return str(value)


class Report:
    """What the compiler decided and measured. In a notebook it is a page.

    Attributes
    ----------
    scale, ring_bits
        Fractional bits of activations and bits of the ring; `scale_reason` and `ring_reason` say why.
    warnings
        What is to be known before the program is used.
    data
        All of it, as `cryptflow inspect --json` has it under `report`.
    """

    def __init__(self, data: Mapping[str, Any], page: Any) -> None:
        self.data = data
        self._page = page

    @property
    def warnings(self) -> list[str]:
        return [in_python(warning) for warning in self.data.get("warnings", ())]

    @property
    def scale(self) -> int:
        return int(self.data["scale"])

    @property
    def scale_reason(self) -> str:
        return str(self.data["scale_reason"])

    @property
    def ring_bits(self) -> int:
        return int(self.data["ring_bits"])

    @property
    def ring_reason(self) -> str:
        return str(self.data["ring_reason"])

    @property
    def agreement(self) -> Mapping[str, Any] | None:
        """How fixed point compares with the float model on the examples; nothing without examples."""
        agreement: Mapping[str, Any] | None = self.data.get("agreement")
        return agreement

    @property
    def page(self) -> str:
        """The page about the program: HTML, a whole file."""
        return str(self._page())

    def save(self, path: str) -> None:
        """Writes the page."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.page)

    def plot(self, ax: Any = None) -> Any:
        """The error of every layer, drawn with matplotlib. Returns the axes."""
        import importlib

        from cryptflow.errors import MissingError

        try:
            pyplot = importlib.import_module("matplotlib.pyplot")
        except ImportError:
            raise MissingError("plots need matplotlib: pip install matplotlib") from None
        layers = [layer for layer in self.data["layers"] if layer.get("max_error") is not None]
        if ax is None:
            _, ax = pyplot.subplots(figsize=(8, max(2.0, 0.22 * len(layers))))
        names = [layer["name"] for layer in layers]
        ax.barh(names, [layer["max_error"] for layer in layers], label="largest")
        ax.barh(names, [layer["rms_error"] for layer in layers], label="root mean square")
        ax.invert_yaxis()
        ax.set_xscale("log")
        ax.set_xlabel("difference from the float model")
        ax.legend()
        return ax

    def __repr__(self) -> str:
        lines = [
            f"scale      {self.scale} fractional bits: {self.scale_reason}",
            f"ring       {self.ring_bits} bits: {self.ring_reason}",
        ]
        if (a := self.agreement) is not None:
            flips = f"; {a['flips']} of {a['rows']} arg-max differ" if a["rows"] else ""
            lines.append(
                f"agreement  on {a['examples']} examples: largest error {a['largest_error']:.3e} ({a['place']}), "
                f"{a['tolerance']:.3e} is allowed{flips}"
            )
        lines += [f"warning    {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        # A page has styles and a script of its own: they stay within it.
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" style="width:100%;height:{_HEIGHT}px;border:0" '
            'sandbox="allow-scripts"></iframe>'
        )


class Cost:
    """What a run costs.

    Attributes
    ----------
    bytes
        Between all parties.
    dealt_bytes
        Of these, those that can be sent before there is an input.
    rounds
        The longest chain of messages, each of which depends on the one before.
    network_seconds
        What a network of the given kind takes for that, computing left aside; `None` where none was given.
    """

    def __init__(self, bytes: int, dealt_bytes: int, rounds: int, network_seconds: float | None) -> None:
        self.bytes = bytes
        self.dealt_bytes = dealt_bytes
        self.rounds = rounds
        self.network_seconds = network_seconds

    def __repr__(self) -> str:
        time = "" if self.network_seconds is None else f", {self.network_seconds:.3g} s of the network"
        return f"{_bytes(self.bytes)} ({_bytes(self.dealt_bytes)} dealt ahead), {self.rounds} rounds{time}"


def _bytes(n: int) -> str:
    value = float(n)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"


class RunReport:
    """What a run took.

    Attributes
    ----------
    seconds
        `{"share": …, "online": …}`: to share inputs (and weights), and from then until the outputs were there.
    bytes
        Payload bytes between the parties (`total`, `dealt`, `online`, by link in `links`) and from the
        client (`share`).
    rounds
        The longest chain of messages, over all runs.
    data
        All of it, as `cryptflow run --json` prints it.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data

    @property
    def seconds(self) -> Mapping[str, float]:
        seconds: Mapping[str, float] = self.data["seconds"]
        return seconds

    @property
    def bytes(self) -> Mapping[str, Any]:
        taken: Mapping[str, Any] = self.data["bytes"]
        return taken

    @property
    def rounds(self) -> int:
        return int(self.data["rounds"])

    def __repr__(self) -> str:
        return f"{self.seconds['online']:.3f} s online, {_bytes(self.bytes['total'])}, {self.rounds} rounds"
