"""Compiled models."""

from __future__ import annotations

import json
import logging
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptflow import _native
from cryptflow.arrays import Inputs, Outputs, given, outputs
from cryptflow.errors import BoundsWarning, in_python
from cryptflow.progress import Progress, Wanted
from cryptflow.reports import Cost, Report, RunReport, Table

if TYPE_CHECKING:
    from cryptflow.comparing import Comparison
    from cryptflow.parties import Parties
    from cryptflow.sources import Model, Source


@dataclass(frozen=True)
class Port:
    """An input or an output of a program.

    Attributes
    ----------
    name
        Its name, as the model has it.
    shape
        Shape of a row: arrays have the shape `[n, *shape]`.
    kind
        What rows are about: `classes` (scores), `decision` (a probability), `mask`, `numbers` …; empty for
        inputs.
    """

    name: str
    shape: tuple[int, ...]
    kind: str = ""


class Program:
    """A compiled model, with its weights.

    It is made by `cryptflow.compile`, and read by `cryptflow.load`.
    """

    def __init__(self, native: _native.Program, source: Source | None = None, signature: str | None = None) -> None:
        self._native = native
        #: The file of the float model, where it stays.
        self._signature = signature
        self._path = source.path if source and not source.temporary else None

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._native.name

    @property
    def source(self) -> str:
        """Where the model came from."""
        return self._native.source

    @property
    def inputs(self) -> list[Port]:
        """The inputs, in the order in which a tuple has them."""
        return [Port(name, tuple(shape)) for name, shape in self._native.inputs()]

    @property
    def outputs(self) -> list[Port]:
        """The outputs; shapes are those of what is opened (`raw=True`)."""
        found = self._native.outputs()
        return [Port(name, tuple(shape), kind) for name, shape, kind in found]

    @property
    def rows_a_run(self) -> int:
        """Rows that one run takes."""
        return self._native.rows()

    @property
    def report(self) -> Report:
        """What the compiler decided and measured; a page in a notebook."""
        return Report(json.loads(self._native.report or "{}"), lambda: self._native.page("mirror"))

    @property
    def layers(self) -> Any:
        """A row for each step: names, shapes, bounds, bits, bytes, rounds; a frame where pandas is installed.

        Bytes and rounds are those of the protocol `mirror`.
        """
        table = self.listing()["layers"]
        try:
            import pandas
        except ImportError:
            return Table(table)
        return pandas.DataFrame(table)

    def listing(self, protocol: str = "mirror") -> dict[str, Any]:
        """All about it, as `cryptflow inspect --json` prints it."""
        listing: dict[str, Any] = json.loads(self._native.listing(protocol))
        return listing

    def estimate(
        self, *, rtt: float | None = None, bandwidth: float | None = None, protocol: str = "mirror"
    ) -> Cost:
        """What a run costs, without running it.

        Parameters
        ----------
        rtt
            Milliseconds of a message there and of its answer back, between two parties.
        bandwidth
            Mbit/s that each direction of each link carries.
        protocol
            The protocol.

        Returns
        -------
        Cost
            Bytes and rounds, exactly; and what the network takes for them at the least, as if nothing had
            to be computed.
        """
        rounds, total, dealt, busiest = self._native.cost(protocol)
        seconds: float | None = None
        if rtt is not None or bandwidth is not None:
            # A round is a message, one way.
            seconds = rounds * (rtt or 0.0) / 2e3 + (busiest * 8 / (bandwidth * 1e6) if bandwidth else 0.0)
        return Cost(total, dealt, rounds, seconds)

    def simulate(self, x: Inputs, *, raw: bool = False, progress: Wanted = None) -> Outputs:
        """The fixed-point answer, on plain integers and without parties.

        It is rounded as shares are, at random, but in the same way every time.

        Parameters
        ----------
        x
            An array of rows `[n, ...]`, or one row; a tuple or a dict of them for several inputs.
        raw
            What the parties would open (logits, where the model ends in a softmax, an arg-max or a top-k),
            and not what the model itself returns.
        progress
            As in `cryptflow.compile`.

        Returns
        -------
        numpy.ndarray or dict
            The only output, `[n, ...]`, or all of them by name.

        Raises
        ------
        InputError
            The input does not go with the model: its kind, its shape, its range. Or, with the code
            `input-held-back`, a value left its bounds, and the program has a guard.

        Warns
        -----
        BoundsWarning
            An output left its bounds: the answer may be wrong.
        """
        with Progress(progress, logging.DEBUG) as bar:
            outcome = self._native.simulate(given(x), raw, bar.callback())
        return self._told(outcome)[0]

    def run(self, x: Inputs, parties: Parties, *, raw: bool = False, progress: Wanted = None) -> Outputs:
        """The answer of the parties, none of whom sees the input or the weights.

        Parameters
        ----------
        x, raw, progress
            As in `simulate`.
        parties
            Who computes it: `with cryptflow.local() as parties: …`. The first run shares the weights with
            them; what a run took is in `parties.last`.

        Returns
        -------
        numpy.ndarray or dict
            The only output, `[n, ...]`, or all of them by name.

        Raises
        ------
        InputError
            As in `simulate`; nothing was sent, unless its code is `input-held-back`.
        PartyError
            A party failed, is gone, or was silent for too long.

        Warns
        -----
        BoundsWarning
            An output left its bounds: the answer may be wrong.
        """
        with Progress(progress, logging.DEBUG) as bar:
            outcome = parties._run(self._native, given(x), raw, bar.callback())
        answer, parties.last = self._told(outcome)
        return answer

    async def simulate_async(self, x: Inputs, *, raw: bool = False) -> Outputs:
        """`simulate`, while others of the event loop go on."""
        import asyncio

        return await asyncio.to_thread(self.simulate, x, raw=raw, progress=False)

    async def run_async(self, x: Inputs, parties: Parties, *, raw: bool = False) -> Outputs:
        """`run`, while others of the event loop go on.

        Each of several runs at a time has processes of its own; what is cancelled runs to its end.
        """
        import asyncio

        return await asyncio.to_thread(self.run, x, parties, raw=raw, progress=False)

    def plain(self, x: Inputs, *, raw: bool = False, model: Model | None = None) -> Outputs:
        """The answer of the float model that the program was compiled from.

        Parameters
        ----------
        x, raw
            As in `simulate`.
        model
            The float model, where the program was read from a file: as `cryptflow.compile` takes it.

        Returns
        -------
        numpy.ndarray or dict
            The only output, `[n, ...]`, or all of them by name.

        Raises
        ------
        OptionError
            The program was read from a file, and `model` is not given.
        """
        if model is None:
            return self._told(self._native.plain(given(x), raw, self._path, self._signature))[0]
        from cryptflow.sources import opened

        with opened(model, x) as source:
            return self._told(self._native.plain(given(x), raw, source.path, None))[0]

    def check(
        self,
        x: Inputs,
        y: Any = None,
        *,
        parties: Parties | None = None,
        model: Model | None = None,
    ) -> Comparison:
        """How the secure answers compare with the float model's, and both with the truth.

        Parameters
        ----------
        x
            Inputs.
        y
            The right answers, if they are known: classes, or numbers as the model returns them.
        parties
            Who computes the secure answers; they are simulated, if nobody does.
        model
            The float model, where the program was read from a file: as `cryptflow.compile` takes it.

        Returns
        -------
        Comparison
            Accuracy where the outputs decide something, mean absolute error otherwise; the largest difference.

        Raises
        ------
        InputError
            As in `simulate`.
        OptionError
            As in `plain`.
        """
        from cryptflow.comparing import compare

        secure = self.simulate(x, raw=True) if parties is None else self.run(x, parties, raw=True)
        return compare(self.outputs, secure, self.plain(x, raw=True, model=model), y)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file of the program, with its weights: whole, or not at all.

        Parameters
        ----------
        path
            The file, by custom `.safetensors`. What was there is replaced.

        Raises
        ------
        ProgramError
            It cannot be written.
        """
        self._native.save(path)

    def _told(self, outcome: tuple[list[tuple[str, bytes]], str, list[str]]) -> tuple[Outputs, RunReport]:
        arrays, report, told = outcome
        for text in told:
            warnings.warn(in_python(text), BoundsWarning, stacklevel=3)
        return outputs(arrays), RunReport(json.loads(report))

    def __repr__(self) -> str:
        def ports(ports: list[Port]) -> str:
            return ", ".join(f"{port.name} {list(port.shape)}" for port in ports)

        return f"<Program {self.name}: {ports(self.inputs)} → {ports(self.outputs)}; {self.estimate()}>"

    def _repr_html_(self) -> str:
        return self.report._repr_html_()


def load(path: str | os.PathLike[str]) -> Program:
    """Reads a compiled model, as `Program.save` and `cryptflow compile` write it.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Program
        The compiled model, with its weights.

    Raises
    ------
    ProgramError
        It cannot be read, is no compiled model, or one of another version.
    """
    return Program(_native.load(path))
