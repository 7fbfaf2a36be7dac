"""Three organisations, played on this machine."""

from __future__ import annotations

import asyncio
import pickle
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import close
from organisations import command, free_port, organisations

import cryptflow as cf

@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A client's site, and three parties that run."""
    with organisations(tmp_path_factory.mktemp("sites")) as client:
        yield client


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

    for word, text, wrong in (
        ("different-model", "not 00", lambda: client.model("digits", digest="00")),
        ("unknown-model", "nothing", lambda: client.model("nothing")),
        ("model-exists", "digits", lambda: owner.deploy(program, "digits")),
    ):
        with pytest.raises(cf.PartyError, match=text) as raised:
            wrong()
        assert (raised.value.word, raised.value.code) == (word, f"party-{word}")
    owner.deploy(program, "digits", replace=True)
    with pytest.raises(cf.OptionError):
        owner.deploy(program, "no name/")


def test_how_far_a_deployment_is(site: Path, program: cf.Program) -> None:
    owner = cf.Site(site)
    told: list[tuple[int, int, str]] = []
    digest = owner.deploy(program, "told", progress=lambda *what: told.append(what))
    assert {total for _, total, _ in told} == {max(done for done, _, _ in told)}
    assert all("bytes" in what for _, _, what in told)

    class EnoughError(Exception):
        """Somebody wants no more of it."""

    def enough(done: int, total: int, what: str) -> None:
        raise EnoughError

    # What was there is used on, and the next one is not kept out.
    with pytest.raises(EnoughError):
        owner.deploy(program, "told", replace=True, progress=enough)
    assert owner.model("told").digest == digest
    owner.deploy(program, "told", replace=True, progress=False)


def test_patience(site: Path, program: cf.Program, digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    cf.Site(site).deploy(program, "patient")
    client = cf.Site(site, patience=0)
    model = client.model("patient")
    assert (client.patience, model.patience) == (0, 0)
    close(model.predict(digits["inputs"][:1]), program.plain(digits["inputs"][:1]))
    for wrong in (-1.0, float("nan"), float("inf")):
        client.patience = model.patience = wrong
        with pytest.raises(cf.OptionError, match="patience"):
            client.model("patient")
        with pytest.raises(cf.OptionError, match="patience"):
            model.predict(digits["inputs"][:1])

    # A party that is not there.
    for path in site.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    text = (tmp_path / "cryptflow.toml").read_text()
    there = re.search(r'^\[p1\]\n.*?^address = "(.*?)"', text, re.MULTILINE | re.DOTALL)
    assert there is not None
    (tmp_path / "cryptflow.toml").write_text(text.replace(there[1], f"127.0.0.1:{free_port()}"))
    away = cf.Site(tmp_path, patience=0)
    assert [party.get("code") for party in away.status()] == [None, "unreachable", None]
    with pytest.raises(cf.PartyError, match="P1") as raised:
        away.model("patient")
    assert raised.value.word == "unreachable"
    again = pickle.loads(pickle.dumps(raised.value))
    assert (again.word, str(again)) == ("unreachable", str(raised.value))


def test_runs_that_were_dealt_ahead(site: Path, program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    cf.Site(site).deploy(program, "ahead")
    command("preprocess", "ahead", "--runs", 2, "--config", site / "cryptflow.toml")
    model = cf.Site(site, dealt="only").model("ahead")
    x = digits["inputs"][:1]
    for left in (1, 0):
        close(model.predict(x), program.plain(x))
        assert model.last is not None and model.last.data["dealt_ahead"] == {"left": left}
    with pytest.raises(cf.PartyError, match="none that was dealt ahead is left") as raised:
        model.predict(x)
    assert raised.value.word == "no-dealt-run"
    model.dealt = "if-there"
    close(model.predict(x), program.plain(x))
    assert "dealt_ahead" not in model.last.data
    model.dealt = "sometimes"
    with pytest.raises(cf.OptionError, match="sometimes"):
        model.predict(x)


def test_what_is_no_site(tmp_path: Path) -> None:
    with pytest.raises(cf.SiteError, match="cryptflow.toml"):
        cf.Site(tmp_path)
