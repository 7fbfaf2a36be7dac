"""Whether a model can be compiled, node by node, without data."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptflow import _native
from cryptflow.compiling import imported
from cryptflow.errors import Node
from cryptflow.sources import Model, opened


class Check:
    """What was found of a model's nodes. It is true where all of the model can be compiled.

    Attributes
    ----------
    unsupported
        The nodes that cannot be compiled, each with its reason and with advice.
    conditional
        Those that can where something holds, which calibration data decide; `reason` says what.
    operations
        How many nodes of each operation can be compiled.
    data
        All of it, as `cryptflow check --json` prints it.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.unsupported = [Node.of(n["node"], n["operation"], n["kind"], n["reason"], n["advice"]) for n in data["unsupported"]]
        self.conditional = [Node(n["node"], n["operation"], n["condition"]) for n in data["conditional"]]
        self.operations: list[Mapping[str, Any]] = list(data["operations"])

    @property
    def compiles(self) -> bool:
        """Whether all of it can be compiled."""
        return bool(self.data["compiles"])

    def __bool__(self) -> bool:
        return self.compiles

    def __repr__(self) -> str:
        nodes = sum(o["supported"] + o["unsupported"] + o["unreached"] for o in self.operations)
        if self.compiles:
            return f"<Check of {self.data['model']}: all of {nodes} nodes can be compiled>"
        lines = [f"<Check of {self.data['model']}: {len(self.unsupported)} of {nodes} nodes cannot be compiled"]
        return "\n".join([*lines, *(f"  {node}" for node in self.unsupported)]) + ">"

    def _repr_html_(self) -> str:
        def table(title: str, nodes: Sequence[Node]) -> str:
            rows = "".join(
                "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in (n.name, n.operation, n.reason, n.advice)) + "</tr>"
                for n in nodes
            )
            head = "<tr><th>node</th><th>operation</th><th>reason</th><th>advice</th></tr>"
            return f"<p>{title}</p><table><thead>{head}</thead><tbody>{rows}</tbody></table>" if nodes else ""

        verdict = "All of it can be compiled." if self.compiles else "It cannot be compiled as it is."
        tables = table("Unsupported", self.unsupported) + table("Supported under a condition", self.conditional)
        return f"<p><b>{html.escape(str(self.data['model']))}</b> ({html.escape(str(self.data['framework']))}). {verdict}</p>{tables}"


def check(
    model: Model,
    examples: Any = None,
    *,
    inputs: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] = (),
    signature: str | None = None,
    batch: int | None = None,
) -> Check:
    """Says of every node of a model whether it can be compiled, and what to do about those that cannot.

    Parameters
    ----------
    model, inputs, outputs, signature, batch
        As in `cryptflow.compile`.
    examples
        Inputs of the model, which a PyTorch model has to see to be exported; not needed otherwise.

    Returns
    -------
    Check
        True where all of the model can be compiled.

    Raises
    ------
    ModelError
        This is no model.
    """
    options = imported(inputs, outputs, signature, batch)
    with opened(model, examples) as source:
        if source.outputs and not outputs:
            options["outputs"] = list(source.outputs)
        return Check(json.loads(_native.check(source.path, json.dumps(options))))
