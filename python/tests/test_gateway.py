"""The gateway, asked by clients that nobody here wrote."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cryptflow as cf
from organisations import command, organisations, serving

http: Any = pytest.importorskip("tritonclient.http")
grpc: Any = pytest.importorskip("tritonclient.grpc")

DIGITS = Path(__file__).parents[2] / "models" / "digits"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, program: cf.Program) -> Iterator[tuple[str, str]]:
    """A gateway in front of three organisations: its address, and a key."""
    folder = tmp_path_factory.mktemp("gateway")
    with organisations(folder) as client:
        cf.Site(client).deploy(program, "digits")
        key = command("gateway", "key", "tests", "--keys", folder / "keys.toml").stdout.strip()
        with serving(client / "cryptflow.toml", "127.0.0.1:0", "--keys", str(folder / "keys.toml")) as address:
            yield address, key


@pytest.mark.parametrize("form", [http, grpc], ids=["http", "grpc"])
def test_a_client_of_triton(gateway: tuple[str, str], form: Any) -> None:
    address, key = gateway
    headers = {("X-API-Key" if form is http else "x-api-key"): key}
    client = form.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("digits", headers=headers)
    told = client.get_model_metadata("digits", headers=headers)
    if form is grpc:
        assert [(told.inputs[0].name, list(told.inputs[0].shape))] == [("x", [-1, 8, 8, 1])]
    else:
        assert told["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 8, 8, 1]}]
    pictures = np.load(DIGITS / "inputs.npy").astype(np.float32).reshape(-1, 8, 8, 1)
    classes = np.load(DIGITS / "classes.npy")
    tensor = form.InferInput("x", list(pictures.shape), "FP32")
    for binary in [True, False] if form is http else [None]:
        more = {} if binary is None else {"binary_data": binary}
        tensor.set_data_from_numpy(pictures, **more)
        asked = [form.InferRequestedOutput("prediction", **more)]
        # The client writes into what it is given.
        answer = client.infer("digits", [tensor], outputs=asked, headers=dict(headers), request_id="7")
        found = answer.as_numpy("prediction")
        assert found.dtype == np.int64 and (found == classes).all()
    with pytest.raises(Exception, match="no model"):
        client.infer("other", [tensor], headers=headers)
    with pytest.raises(Exception, match="(?i)key"):
        client.infer("digits", [tensor])
    small = form.InferInput("x", [1, 3], "FP32")
    small.set_data_from_numpy(np.zeros([1, 3], np.float32))
    with pytest.raises(Exception, match=r"needs \[N, 8, 8, 1\]"):
        client.infer("digits", [small], headers=headers)


@pytest.mark.skipif(importlib.util.find_spec("kserve") is None, reason="there is no kserve")
def test_a_client_of_kserve(gateway: tuple[str, str]) -> None:
    program = Path(__file__).parent / "kserve_client.py"
    done = subprocess.run([sys.executable, program, *gateway], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "3 right answers", done.stdout


def test_the_description_is_one_of_openapi(gateway: tuple[str, str]) -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    address, key = gateway
    request = urllib.request.Request(f"http://{address}/openapi.json", headers={"X-API-Key": key})
    with urllib.request.urlopen(request) as answer:
        validator.validate(json.load(answer))
