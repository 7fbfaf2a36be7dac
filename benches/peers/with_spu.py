"""One network with SPU: three processes of this machine over TCP, ABY3 over 64 bits, weights and input secret-shared. Prints a line of
JSON."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import socket
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

PARTIES = 3


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def loopback() -> int:
    """Bytes that went over the loopback so far, headers included. It is ours alone: the script runs in a network namespace."""
    lines = (line.strip() for line in Path("/proc/net/dev").read_text().splitlines())
    return next(int(line.split()[1]) for line in lines if line.startswith("lo:"))


def configuration() -> Any:
    from spu import libspu

    return libspu.RuntimeConfig(
        protocol=libspu.ProtocolKind.ABY3, field=libspu.FieldType.FM64, fxp_fraction_bits=18
    )


def party(rank: int, ports: list[int], pipe: Connection) -> None:
    """A party: gets its shares and the program, runs as often as it is asked to, and gives its shares of the output."""
    from spu import api, libspu

    links = libspu.link.Desc()
    links.recv_timeout_ms = 600_000
    for i, port in enumerate(ports):
        links.add_party(f"P{i}", f"127.0.0.1:{port}")
    link = libspu.link.create_brpc(links, rank)
    runtime = api.Runtime(link, configuration())
    executable, shares = pipe.recv()
    for name, share in shares:
        runtime.set_var(name, share)
    pipe.send("ready")
    while pipe.recv():
        begun, cpu = time.perf_counter(), time.process_time()
        runtime.run(executable)
        pipe.send((time.perf_counter() - begun, time.process_time() - cpu))
    pipe.send([runtime.get_var(name) for name in executable.output_names])
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    pipe.recv()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("input", help=".npy: rows, as the model takes them; the first one is run")
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()

    ports = free_ports(PARTIES)
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for rank in range(PARTIES):
        here, there = context.Pipe()
        process = context.Process(target=party, args=(rank, ports, there), daemon=True)
        process.start()
        pipes.append(here)
        processes.append(process)
    try:
        print(json.dumps(measure(arguments, pipes)))
    finally:
        for process in processes:
            process.kill()
            process.join()


def measure(arguments: argparse.Namespace, pipes: list[Connection]) -> dict[str, Any]:
    import jax
    from network import Network
    from spu import api, libspu
    from spu.utils import frontend

    network = Network(arguments.model)
    x = np.load(arguments.input)[:1].astype(np.float32)
    weights = network.weights
    plain = np.asarray(network(x, weights))
    flat, _ = jax.tree_util.tree_flatten((x, weights))
    names = [f"in{i}" for i in range(len(flat))]
    begun = time.perf_counter()
    executable, _ = frontend.compile(
        frontend.Kind.JAX,
        network.__call__,
        [x, weights],
        {},
        names,
        [libspu.Visibility.VIS_SECRET] * len(flat),
        lambda out: [f"out{i}" for i in range(len(out))],
    )
    compiled = time.perf_counter() - begun
    io = api.Io(PARTIES, configuration())
    shares = [io.make_shares(np.asarray(value), libspu.Visibility.VIS_SECRET) for value in flat]
    for rank, pipe in enumerate(pipes):
        pipe.send((executable, [(name, share[rank]) for name, share in zip(names, shares)]))
    for pipe in pipes:
        pipe.recv()
    runs, sent = [], []
    for _ in range(arguments.runs):
        before = loopback()
        for pipe in pipes:
            pipe.send(True)
        runs.append([pipe.recv() for pipe in pipes])
        sent.append(loopback() - before)
    for pipe in pipes:
        pipe.send(False)
    parts = [pipe.recv() for pipe in pipes]
    peaks = [pipe.recv() for pipe in pipes]
    y = np.asarray(io.reconstruct([part[0] for part in parts]))
    return {
        "compile_seconds": compiled,
        "seconds": [max(seconds for seconds, _ in run) for run in runs],
        "cpu_seconds": [sum(cpu for _, cpu in run) for run in runs],
        "loopback_bytes": sent,
        "peak_rss": peaks,
        "farthest": float(np.max(np.abs(y - plain))),
        "same_class": bool(y.argmax() == plain.argmax()),
    }


if __name__ == "__main__":
    main()
