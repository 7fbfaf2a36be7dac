"""Models of PyTorch, held against what they give themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import close

import cryptflow as cf

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
nn = torch.nn


class Residual(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 5)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Any) -> Any:
        h = torch.relu(self.norm(self.first(x)))
        h = h + torch.nn.functional.dropout(self.second(h), 0.5, self.training)
        return self.last(h.mean(dim=(2, 3)))


class Encoder(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
        self.last = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        return self.last(self.layer(x).mean(dim=1))


MODELS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "sequential": (lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2), nn.Softmax(dim=-1)), (6,)),
    "residual": (Residual, (3, 8, 8)),
    "encoder": (Encoder, (4, 8)),
}


@pytest.mark.parametrize("name", MODELS)
def test_live_models(name: str, parties: cf.Parties) -> None:
    torch.manual_seed(5)
    make, shape = MODELS[name]
    model = make()
    x = torch.rand(64, *shape) * 2 - 1
    assert model.training
    program = cf.compile(model, x, progress=False)
    # It trains on, where it trained.
    assert all(module.training for module in model.modules())
    with torch.no_grad():
        expected = model.eval()(x).numpy()
    close(program.plain(x), expected, 1e-3)
    close(program.simulate(x), expected)
    close(program.run(x[:2], parties), expected[:2])
    assert cf.check(model, x)


def test_both_exporters(monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptflow import from_torch

    torch.manual_seed(5)
    make, shape = MODELS["sequential"]
    model, x = make(), torch.rand(64, *shape)
    with torch.no_grad():
        expected = model(x).numpy()
    exporters = dict(from_torch._exporters(torch))
    assert "tracing" in exporters
    for exporter in exporters.items():
        monkeypatch.setattr(from_torch, "_exporters", lambda _, exporter=exporter: [exporter])
        close(cf.compile(model, x, progress=False).simulate(x), expected)


def test_several_inputs() -> None:
    class Two(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(4, 3), nn.Linear(2, 3)

        def forward(self, left: Any, right: Any) -> Any:
            return torch.relu(self.left(left) + self.right(right))

    torch.manual_seed(5)
    model, left, right = Two(), torch.randn(64, 4), torch.randn(64, 2)
    program = cf.compile(model, {"left": left, "right": right}, progress=False)
    assert [port.name for port in program.inputs] == ["left", "right"]
    with torch.no_grad():
        close(program.simulate((left, right)), model(left, right).numpy())


def test_a_model_needs_examples() -> None:
    with pytest.raises(cf.ModelError, match="calibration=examples"):
        cf.compile(nn.Linear(2, 1), range=(-1.0, 1.0))


def test_what_cannot_be_exported_is_said() -> None:
    class Odd(nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            raise ValueError("no answer today")

    with pytest.raises(cf.ModelError, match="no answer today"):
        cf.compile(Odd(), np.zeros((4, 2), np.float32))
