"""Three organisations, played on this machine."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import close

import cryptflow as cf

ROLES = ("p0", "p1", "p2", "client")


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "cryptflow", *map(str, arguments)], capture_output=True, text=True, check=True)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A client's site, and three parties that run."""
    folder = tmp_path_factory.mktemp("sites")
    addresses = {role: f"127.0.0.1:{free_port()}" for role in ROLES[:3]}
    fingerprints = {}
    for role in ROLES:
        address = ["--address", addresses[role], "--listen", addresses[role]] if role in addresses else []
        made = command("init", role, "--out", folder / role, "--name", role, *address)
        found = re.search(r"^fingerprint +(\S+)$", made.stdout, re.MULTILINE)
        assert found is not None
        fingerprints[role] = found[1]
    tables = "".join(
        f'[{role}]\nname = "{role}"\naddress = "{addresses[role]}"\nfingerprint = "{fingerprints[role]}"\n\n' for role in ROLES[:3]
    )
    clients = f'[clients.client]\nfingerprint = "{fingerprints["client"]}"\nmay = ["deploy", "predict"]\n\n'
    for role in ROLES:
        config = folder / role / "cryptflow.toml"
        text = config.read_text()
        begin, end = text.index("[p0]"), text.index("[session]")
        config.write_text(text[:begin] + tables + ("" if role == "client" else clients) + text[end:])
    parties = [
        subprocess.Popen(
            [sys.executable, "-m", "cryptflow", "party", "--config", str(folder / role / "cryptflow.toml")],
            stderr=subprocess.PIPE,
            text=True,
        )
        for role in ROLES[:3]
    ]
    try:
        client = cf.Site(folder / "client")
        end = time.monotonic() + 30
        while any("error" in status for status in client.status()):
            assert time.monotonic() < end, client.status()
            time.sleep(0.1)
        yield folder / "client"
    finally:
        for party in parties:
            party.terminate()
        for party in parties:
            party.communicate()


def test_deploy_and_predict(site: Path, program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    owner = cf.Site(site)
    assert owner.parties == ["p0", "p1", "p2"]
    digest = owner.deploy(program, "digits")
    assert [["digits", "mirror", digest]] == owner.status()[0]["models"]

    client = cf.Site(site / "cryptflow.toml")
    model = client.model("digits", digest=digest)
    assert (model.digest, model.protocol) == (digest, "mirror")
    assert model.inputs == program.inputs
    x = digits["inputs"][:4]
    close(model.predict(x), program.plain(x))
    assert model.last is not None and model.last.data["session"]["parties"] == owner.parties
    assert model.predict(x, raw=True).shape == (4, 10)
    close(asyncio.run(model.predict_async(x)), program.plain(x))
    with pytest.raises(cf.InputError):
        model.predict(x[:, :3])

    with pytest.raises(cf.PartyError, match="not 00"):
        client.model("digits", digest="00")
    with pytest.raises(cf.PartyError, match="nothing"):
        client.model("nothing")
    with pytest.raises(cf.PartyError, match="digits"):
        owner.deploy(program, "digits")
    owner.deploy(program, "digits", replace=True)
    with pytest.raises(cf.OptionError):
        owner.deploy(program, "no name/")


def test_what_is_no_site(tmp_path: Path) -> None:
    with pytest.raises(cf.SiteError, match="cryptflow.toml"):
        cf.Site(tmp_path)
