"""Three organisations and a client, played on this machine."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cryptflow as cf

PARTIES = ("p0", "p1", "p2")


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command of the package."""
    return subprocess.run([sys.executable, "-m", "cryptflow", *map(str, arguments)], capture_output=True, text=True, check=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def organisations(folder: Path) -> Iterator[Path]:
    """Makes the sites, starts the parties, and gives the folder of the client's site, who may deploy and predict."""
    addresses = {role: f"127.0.0.1:{free_port()}" for role in PARTIES}
    fingerprints = {}
    for role in (*PARTIES, "client"):
        address = ["--address", addresses[role], "--listen", addresses[role]] if role in addresses else []
        made = command("init", role, "--out", folder / role, "--name", role, *address)
        found = re.search(r"^fingerprint +(\S+)$", made.stdout, re.MULTILINE)
        assert found is not None
        fingerprints[role] = found[1]
    tables = "".join(
        f'[{role}]\nname = "{role}"\naddress = "{addresses[role]}"\nfingerprint = "{fingerprints[role]}"\n\n' for role in PARTIES
    )
    clients = f'[clients.client]\nfingerprint = "{fingerprints["client"]}"\nmay = ["deploy", "predict"]\n\n'
    for role in (*PARTIES, "client"):
        config = folder / role / "cryptflow.toml"
        text = config.read_text()
        begin, end = text.index("[p0]"), text.index("[session]")
        config.write_text(text[:begin] + tables + ("" if role == "client" else clients) + text[end:])
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "cryptflow", "party", "--config", str(folder / role / "cryptflow.toml")],
            stderr=subprocess.PIPE,
            text=True,
        )
        for role in PARTIES
    ]
    try:
        client = cf.Site(folder / "client")
        end = time.monotonic() + 30
        while any("error" in status for status in client.status()):
            assert time.monotonic() < end, client.status()
            time.sleep(0.1)
        yield folder / "client"
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.communicate()


@contextlib.contextmanager
def serving(config: Path, listen: str, *more: str) -> Iterator[str]:
    """A gateway of the site with this configuration: its address, until it is asked to stop, and has stopped."""
    arguments = ["gateway", "--config", str(config), "--listen", listen, *more]
    process = subprocess.Popen([sys.executable, "-m", "cryptflow", *arguments], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.readline()
    assert "http://" in said, said
    try:
        yield said.split("http://")[1].split()[0]
    finally:
        process.terminate()
        process.communicate()
    assert process.returncode == 0
