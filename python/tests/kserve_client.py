"""KServe's own client asks a gateway: a program for itself, as KServe and Triton declare messages of the same names, which one process
cannot have twice."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import kserve
import numpy as np

DIGITS = Path(__file__).parents[2] / "models" / "digits"
PICTURES = np.load(DIGITS / "inputs.npy").astype(np.float32).reshape(-1, 8, 8, 1)


def request(binary: bool) -> Any:
    """All pictures."""
    tensor = kserve.InferInput("x", list(PICTURES.shape), "FP32")
    tensor.set_data_from_numpy(PICTURES, binary_data=binary)
    return kserve.InferRequest("digits", [tensor], request_id="7")


async def over_rest(address: str, key: str) -> list[Any]:
    """Answers to elements in bytes, and in JSON."""
    client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2"))
    base, headers = f"http://{address}", {"X-API-Key": key}
    assert await client.is_server_live(base) and await client.is_server_ready(base)
    assert await client.is_model_ready(base, "digits", headers=headers)
    forms = [request(True), request(False)]
    # The client writes into what it is given.
    answers = [await client.infer(base, form, model_name="digits", headers=dict(headers), timeout=60) for form in forms]
    try:
        await client.infer(base, forms[0], model_name="digits")
    except Exception as refused:
        assert "401" in str(refused), refused
    else:
        raise AssertionError("there is an answer without a key")
    await client.close()
    return answers


async def over_grpc(address: str, key: str) -> list[Any]:
    """The answer to elements in a message."""
    client = kserve.InferenceGRPCClient(address)
    assert await client.is_server_live() and await client.is_server_ready()
    answers = [await client.infer(request(False), headers=[("x-api-key", key)])]
    await client.close()
    return answers


def main(address: str, key: str) -> None:
    """Compares all of them with what the model says in the clear."""
    classes = np.load(DIGITS / "classes.npy")
    answers = asyncio.run(over_rest(address, key)) + asyncio.run(over_grpc(address, key))
    for answer in answers:
        found = answer.outputs[0].as_numpy()
        assert answer.id == "7" and found.dtype == np.int64 and (found == classes).all()
    print(f"{len(answers)} right answers")


if __name__ == "__main__":
    main(*sys.argv[1:])
