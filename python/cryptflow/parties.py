"""The parties on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

from cryptflow import _native
from cryptflow.__main__ import interpreter
from cryptflow.reports import RunReport


class Parties:
    """The parties, a process each on this machine: to show and to measure, not to protect from its owner.

    Attributes
    ----------
    last
        What the last run took.
    """

    last: RunReport | None

    def __init__(self, native: _native.Parties) -> None:
        self._native = native
        self.last = None

    @property
    def processes(self) -> list[int]:
        """Ids of the parties' processes: three for each program that they hold, at most four of them."""
        return self._native.processes()

    def close(self) -> None:
        """Ends the processes."""
        self._native.close()

    def _run(
        self,
        program: _native.Program,
        inputs: Sequence[tuple[str | None, str, bytes]],
        raw: bool,
        progress: Callable[[int, int, str], object] | None,
    ) -> tuple[list[tuple[str, bytes]], str, list[str]]:
        return self._native.run(program, inputs, raw, progress)

    def __enter__(self) -> Parties:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Parties: processes {', '.join(map(str, self.processes)) or 'ended'}>"


def local(
    *,
    protocol: str = "mirror",
    rtt: float | None = None,
    bandwidth: float | None = None,
    timeout: float = 60.0,
) -> Parties:
    """Starts the parties as processes of this machine. Use it in a `with`: they end with it.

    Parameters
    ----------
    protocol
        `mirror`; `porthos` and `porthos-exact` to compare with; `clear` to find errors, without any
        protection.
    rtt, bandwidth
        An emulated network between the parties: milliseconds there and back, and Mbit/s of each direction
        of each link.
    timeout
        Seconds of silence after which a party counts as gone.

    Returns
    -------
    Parties
        Three processes, which wait for a program.

    Raises
    ------
    OptionError
        An option makes no sense.
    PartyError
        A process did not start.
    """
    return Parties(_native.Parties(interpreter(), protocol, timeout, rtt, bandwidth))
