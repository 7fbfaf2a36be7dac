"""Parties: processes that come and go."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import DIGITS, close, processes

import cryptflow as cf


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_the_end(of: list[int], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while any(map(alive, of)):
        assert time.monotonic() < end, "processes were left"
        time.sleep(0.02)


def test_processes_end_with_the_block(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    with cf.local() as parties:
        started = parties.processes
        assert len(started) == 3 and processes() >= set(started)
        program.run(digits["inputs"][:1], parties)
        assert parties.processes == started
    assert parties.processes == []
    assert not any(map(alive, started))
    with pytest.raises(cf.PartyError, match="have been ended"):
        program.run(digits["inputs"][:1], parties)


def test_several_programs(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    others = [cf.compile(DIGITS / "model.pb", digits["calibration"], rows=4, scale=9 + i, progress=False) for i in range(4)]
    x = digits["inputs"][:2]
    with cf.local(protocol="clear") as parties:
        for each in [program, *others, program]:
            close(each.run(x, parties), each.plain(x), 0.05)
        # The one that was used least recently gives way.
        assert len(parties.processes) == 4 * 3


def test_protocols_and_networks(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    x = digits["inputs"][:1]
    for protocol in ("mirror", "porthos-exact", "clear"):
        with cf.local(protocol=protocol) as parties:
            close(program.run(x, parties), program.plain(x))
    with cf.local(rtt=10) as parties:
        program.run(x, parties)
        assert parties.last is not None
        assert parties.last.seconds["online"] >= 0.9 * (program.estimate(rtt=10).network_seconds or 0)
    for options in ({"protocol": "nothing"}, {"timeout": 0}, {"rtt": -1}, {"bandwidth": 0}):
        with pytest.raises(cf.OptionError):
            cf.local(**options)  # type: ignore[arg-type]


def test_a_guard_holds_answers_back(digits: dict[str, np.ndarray]) -> None:
    with pytest.warns(cf.CompileWarning):
        dark = cf.compile(DIGITS / "model.pb", digits["calibration"] * 0.05, guard=True, margin=0.0, progress=False)
    x = digits["inputs"]
    low, high = dark.listing()["inputs"][0]["low"], dark.listing()["inputs"][0]["high"]
    inside = np.clip(np.where(x > 0.3, high, low), low, high).astype(np.float32)
    with cf.local() as parties:
        dark.run(digits["calibration"][:1] * 0.05, parties)
        for run in (dark.simulate, lambda x: dark.run(x, parties)):
            with pytest.raises(cf.InputError, match="no answer") as caught:
                run(inside)
            assert caught.value.code == "input-held-back"
        # The parties go on.
        dark.run(digits["calibration"][:1] * 0.05, parties)


def test_a_lost_party_is_named(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    x = digits["inputs"][:1]
    with cf.local(timeout=5) as parties:
        program.run(x, parties)
        os.kill(parties.processes[1], signal.SIGKILL)
        with pytest.raises(cf.PartyError, match="P1"):
            program.run(x, parties)
        # The next run has others.
        close(program.run(x, parties), program.plain(x))


def test_a_program_outlives_its_file(tmp_path: Path, program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    path = tmp_path / "program.safetensors"
    program.save(path)
    read = cf.load(path)
    path.unlink()
    with cf.local(protocol="clear") as parties:
        close(read.run(digits["inputs"][:1], parties), program.plain(digits["inputs"][:1]))


def test_parties_that_nobody_holds_end(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    parties = cf.local(protocol="clear")
    program.run(digits["inputs"][:1], parties)
    started = parties.processes
    del parties
    gc.collect()
    wait_for_the_end(started)


def test_a_callback_that_raises_ends_the_session(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    def stop(*_: object) -> None:
        raise RuntimeError("enough")

    with cf.local() as parties:
        with pytest.raises(RuntimeError, match="enough"):
            program.run(digits["inputs"], parties, progress=stop)
        close(program.run(digits["inputs"][:1], parties), program.plain(digits["inputs"][:1]))


def test_other_threads_go_on(program: cf.Program, digits: dict[str, np.ndarray], parties: cf.Parties) -> None:
    ticks, done = [0], threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    begun = time.monotonic()
    program.run(np.tile(digits["inputs"], (5, *[1] * (digits["inputs"].ndim - 1))), parties)
    took = time.monotonic() - begun
    done.set()
    thread.join()
    assert ticks[0] > took * 1000 / 50


def test_threads_share_parties(program: cf.Program, digits: dict[str, np.ndarray], parties: cf.Parties) -> None:
    x = digits["inputs"][:2]
    expected, answers = program.plain(x), []

    def run() -> None:
        answers.append(program.run(x, parties))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 3
    for answer in answers:
        close(answer, expected)


def test_event_loops_go_on(program: cf.Program, digits: dict[str, np.ndarray], parties: cf.Parties) -> None:
    import asyncio

    x = digits["inputs"]

    async def both() -> tuple[np.ndarray, int]:
        answer = asyncio.gather(program.run_async(x, parties), program.simulate_async(x, raw=True))
        turns = 0
        while not answer.done():
            turns += 1
            await asyncio.sleep(0.001)
        return (await answer)[0], turns

    answer, turns = asyncio.run(both())
    close(answer, program.plain(x))
    assert turns > 3


SCRIPT = """
import sys, numpy as np, cryptflow as cf
program = cf.load(sys.argv[1])
x = np.repeat(np.load(sys.argv[2])[:1], 3000, axis=0)
parties = cf.local()
print(*parties.processes, flush=True)
begun = []
def told(*_):
    if not begun:
        begun.append(print("runs", flush=True))
try:
    program.run(x, parties, progress=told)
except KeyboardInterrupt:
    print("interrupted", len(parties.processes), flush=True)
    program.run(x[:1], parties)
    parties.close()
    print("again", flush=True)
"""


def heard() -> None:
    """Has a new process hear Ctrl-C, also where whoever started the tests (a job in the background) does not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def begun(program: cf.Program, tmp_path: Path) -> tuple[subprocess.Popen[str], list[int]]:
    path = tmp_path / "program.safetensors"
    program.save(path)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(path), str(DIGITS / "inputs.npy")],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heard,
    )
    assert process.stdout is not None
    started = [int(number) for number in process.stdout.readline().split()]
    assert len(started) == 3
    assert process.stdout.readline().strip() == "runs"
    return process, started


@pytest.mark.parametrize("group", [False, True])
def test_an_interrupt_ends_the_run_and_the_processes(group: bool, program: cf.Program, tmp_path: Path) -> None:
    process, started = begun(program, tmp_path)
    # Ctrl-C goes to all processes of a terminal; `kill` to one.
    (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert out.split("\n")[:2] == ["interrupted 0", "again"]
    assert process.returncode == 0
    wait_for_the_end(started)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_parties_end_with_python(how: int, program: cf.Program, tmp_path: Path) -> None:
    process, started = begun(program, tmp_path)
    process.send_signal(how)
    process.communicate(timeout=20)
    wait_for_the_end(started)


def test_a_compilation_is_interrupted(tmp_path: Path) -> None:
    script = f"""
    import _thread, threading, cryptflow as cf, numpy as np
    x = np.load({str(DIGITS / "calibration.npy")!r})
    threading.Timer(0.3, _thread.interrupt_main).start()
    try:
        while True:
            cf.compile({str(DIGITS / "model.pb")!r}, x)
    except KeyboardInterrupt:
        print("interrupted")
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, preexec_fn=heard)
    assert run.stdout.strip() == "interrupted", run.stderr


def sockets(process: int | str) -> set[str]:
    """The inodes of a process' sockets."""
    folder, found = f"/proc/{process}/fd", set()
    for one in os.listdir(folder):
        try:
            target = os.readlink(f"{folder}/{one}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def open_sockets() -> set[str]:
    """The inodes of all sockets that listen or are connected."""
    lines = [line for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    return {line.split()[9] for line in lines} - {"0"}


def interrupted(run: Callable[[], object]) -> None:
    """Has a run interrupted as Ctrl-C does, while it runs."""
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    with contextlib.suppress(KeyboardInterrupt):
        timer.start()
        run()
        # It was quicker than that.
        timer.join()
        time.sleep(1)
    timer.join()


def test_nothing_is_left_after_many_runs(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    """No process, file or port is left, and memory stays as it is, whether runs end well, are interrupted, or lose a party."""
    if not os.path.exists("/proc/self/fd"):
        pytest.skip("this system does not list a process' files")
    x, many = digits["inputs"][:1], np.tile(digits["inputs"], (50, 1, 1, 1))
    ours: set[str] = set()

    def stop(*_: object) -> None:
        raise RuntimeError("enough")

    def rounds(n: int) -> None:
        for i in range(n):
            with cf.local(protocol=("mirror", "clear")[i % 2], timeout=5) as parties:
                program.run(x, parties)
                started = parties.processes
                ours.update(*map(sockets, started))
                if i % 4 == 1:
                    with pytest.raises(RuntimeError, match="enough"):
                        program.run(many, parties, progress=stop)
                elif i % 4 == 2:
                    interrupted(lambda: program.run(many, parties))
                elif i % 4 == 3:
                    os.kill(started[i % 3], signal.SIGKILL)
                    with pytest.raises(cf.PartyError):
                        program.run(x, parties)
            assert not any(map(alive, started))

    def held() -> tuple[int, int, int]:
        gc.collect()
        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[1])
        return len(os.listdir("/proc/self/fd")), threading.active_count(), pages

    rounds(8)
    files, threads, pages = held()
    rounds(int(os.environ.get("CRYPTFLOW_MANY_RUNS", "24")))
    files_after, threads_after, pages_after = held()
    assert files_after <= files and threads_after <= threads
    assert (pages_after - pages) * os.sysconf("SC_PAGESIZE") < 16 << 20
    assert ours and not ours & open_sockets()


def test_calls_are_quick_and_flat(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    """What Python adds to a run of a held program is not much more than a millisecond."""
    x = digits["inputs"][:1]
    with cf.local(protocol="clear") as parties:
        program.run(x, parties)
        beside = []
        for _ in range(20):
            begun = time.perf_counter()
            program.run(x, parties)
            taken = time.perf_counter() - begun
            assert parties.last is not None
            beside.append(taken - sum(parties.last.seconds.values()))
    # The quickest: the others say how busy the machine is.
    assert min(beside) < 0.005
