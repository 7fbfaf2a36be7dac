"""Three organisations: what a client, or the owner of a model, does with them."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

from cryptflow import _native
from cryptflow.arrays import Inputs, Outputs, given, outputs
from cryptflow.errors import BoundsWarning, in_python
from cryptflow.program import Port, Program
from cryptflow.progress import DEBUG, Progress, Wanted
from cryptflow.reports import RunReport


class Site:
    """The site of a client, or of the owner of models: its key, and who the parties are.

    `cryptflow init client` makes one; a party is started with `cryptflow party`.

    Parameters
    ----------
    config
        The site's configuration, or the folder of its `cryptflow.toml`.
    patience
        Seconds for which `model` and `predict` go on asking where parties are busy, and wait in their lines. A party that
        is away is waited for, too, for 15 s of them at most. 0 asks once.
    dealt
        Whether predictions take runs that were dealt ahead (`cryptflow preprocess --config`), one a batch: ``"if-there"``
        where there are enough, ``"only"`` or not at all, ``"never"``. The party that deals may be away then.
    insecure_simulated_tee
        Accept evidence of the simulated root of trust in this folder: proves nothing, protects nothing.

    Attributes
    ----------
    patience, dealt
        As above: they may be set at any time, and hold for what is asked for from then on.

    Raises
    ------
    SiteError
        The configuration, or a file that it names, is missing or wrong.
    """

    patience: float
    dealt: str

    def __init__(
        self,
        config: str | os.PathLike[str] = ".",
        *,
        patience: float = 60.0,
        dealt: str = "if-there",
        insecure_simulated_tee: str | os.PathLike[str] | None = None,
    ) -> None:
        self.patience = patience
        self.dealt = dealt
        path = os.fspath(config)
        if os.path.isdir(path):
            path = os.path.join(path, "cryptflow.toml")
        self._native = _native.Site(path, insecure_simulated_tee)

    @property
    def parties(self) -> list[str]:
        """The parties' organisations, in order."""
        return self._native.parties

    def status(self) -> list[dict[str, Any]]:
        """What each party says of itself; `{"error": …, "code": …}`, a text and a word, of one that cannot be reached."""
        return [json.loads(said) for said in self._native.status()]

    def deploy(
        self, program: Program, name: str, *, protocol: str = "mirror", replace: bool = False, progress: Wanted = None
    ) -> str:
        """Shares a program's weights into the stores of the parties; no party learns them.

        All of them keep their parts, or none does: also where this is broken off (Ctrl-C, or an exception of `progress`).

        Parameters
        ----------
        program
            The program, with its weights.
        name
            What clients call it.
        protocol
            The protocol that it will be used with.
        replace
            In the place of another model of this name.
        progress
            Who is told how far it is: as in `Program.run`, in bytes that have arrived at the parties.

        Returns
        -------
        str
            The digest of program and weights, by which clients know it. Where parties have several lanes, the model is
            brought to each, with a sharing of its own, and this is the digest of the first.

        Raises
        ------
        OptionError
            The name or the protocol is none.
        PartyError
            A party cannot be reached, does not allow it, or keeps another model under this name.
        """
        with Progress(progress, DEBUG) as bar:
            return self._native.deploy(program._native, name, protocol, replace, bar.callback())

    def model(self, name: str, *, digest: str | None = None) -> DeployedModel:
        """A model that the parties keep.

        Parameters
        ----------
        name
            Its name.
        digest
            Nothing but the model with this digest is run.

        Returns
        -------
        DeployedModel
            What the parties keep of it, without the weights. It has this site's patience, and its `dealt`.

        Raises
        ------
        PartyError
            A party cannot be reached, does not allow it, or keeps no such model; or the parties keep different ones.
        """
        native = self._native.model(name, self.patience, self.dealt)
        return DeployedModel(native, name, digest, self.patience, self.dealt)

    def __repr__(self) -> str:
        return f"<Site: parties {', '.join(self.parties)}>"


class DeployedModel:
    """A model that the parties keep, as a client knows it: without its weights.

    Attributes
    ----------
    last
        What the last prediction took, and what the parties proved.
    patience
        Seconds for which a prediction waits for its session: as the site's, when this was asked for. It may be set.
    dealt
        Whether predictions take runs that were dealt ahead: as the site's, when this was asked for. It may be set.
    """

    last: RunReport | None
    patience: float
    dealt: str

    def __init__(
        self, native: _native.Deployed, name: str, digest: str | None, patience: float, dealt: str
    ) -> None:
        from cryptflow.errors import PartyError

        if digest is not None and digest != native.digest:
            raise PartyError(f"the parties keep {native.digest} under the name {name}, not {digest}", "party-different-model")
        self._native = native
        self.patience = patience
        self.dealt = dealt
        self.name = name
        self.last = None

    @property
    def digest(self) -> str:
        """Digest of program and weights."""
        return self._native.digest

    @property
    def protocol(self) -> str:
        """The protocol that it was deployed for."""
        return self._native.protocol

    @property
    def inputs(self) -> list[Port]:
        """The inputs."""
        return Program(self._native.program).inputs

    @property
    def outputs(self) -> list[Port]:
        """The outputs."""
        return Program(self._native.program).outputs

    def predict(self, x: Inputs, *, raw: bool = False, progress: Wanted = None) -> Outputs:
        """The answer of the parties. The client shares the input, and alone opens the answer.

        Parameters
        ----------
        x, raw, progress
            As in `Program.run`.

        Returns
        -------
        numpy.ndarray or dict
            The only output, `[n, ...]`, or all of them by name.

        Raises
        ------
        InputError
            The input does not go with the model; nothing was sent, unless its code is `input-held-back`: then a value
            left its bounds, and the model has a guard.
        PartyError
            A party cannot be reached, failed, or is gone.

        Warns
        -----
        BoundsWarning
            An output left its bounds: the answer may be wrong.
        """
        with Progress(progress, DEBUG) as bar:
            arrays, report, told = self._native.run(given(x), raw, self.patience, self.dealt, bar.callback())
        for text in told:
            warnings.warn(in_python(text), BoundsWarning, stacklevel=2)
        self.last = RunReport(json.loads(report))
        return outputs(arrays)

    async def predict_async(self, x: Inputs, *, raw: bool = False) -> Outputs:
        """`predict`, while others of the event loop go on."""
        import asyncio

        return await asyncio.to_thread(self.predict, x, raw=raw, progress=False)

    def __repr__(self) -> str:
        return f"<DeployedModel {self.name}: {self.digest}>"
