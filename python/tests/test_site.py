"""Three organisations, played on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import close
from organisations import organisations

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
