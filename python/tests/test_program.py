"""Programs: compiled, saved, read, shown, run."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DIGITS, close

import cryptflow as cf


def test_the_answer_is_the_float_models(program: cf.Program, digits: dict[str, np.ndarray], parties: cf.Parties) -> None:
    x = digits["inputs"]
    expected = program.plain(x)
    close(program.simulate(x), expected)
    close(program.run(x, parties), expected)
    assert parties.last is not None
    assert parties.last.rounds > 0
    assert parties.last.bytes["total"] == sum(parties.last.bytes["links"].values())
    assert parties.last.seconds["online"] > 0


def test_raw_is_what_is_opened(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    x = digits["inputs"][:4]
    raw, answer = program.simulate(x, raw=True), program.simulate(x)
    assert raw.shape == (4, 10) and raw.dtype == np.float32
    # The network ends in an arg-max.
    assert answer.dtype == np.int64 and answer.tolist() == raw.argmax(axis=1).tolist()


def test_one_row_needs_no_axis_of_rows(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    x = digits["inputs"]
    np.testing.assert_array_equal(program.simulate(x[3]), program.simulate(x[3:4]))


def test_a_simulation_is_the_same_every_time(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    x = digits["inputs"][:3]
    np.testing.assert_array_equal(program.simulate(x), program.simulate(x))


def test_programs_go_through_files(program: cf.Program, digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "digits.safetensors"
    program.save(path)
    read = cf.load(path)
    assert read.listing()["digest"] == program.listing()["digest"]
    assert read.report.data == program.report.data
    x = digits["inputs"][:2]
    np.testing.assert_array_equal(read.simulate(x), program.simulate(x))
    with pytest.raises(cf.OptionError, match="name the model"):
        read.plain(x)
    np.testing.assert_array_equal(read.plain(x, model=DIGITS / "model.pb"), program.plain(x))
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(cf.ProgramError, match="not compiled"):
        cf.load(DIGITS / "model.pb")
    with pytest.raises(cf.ProgramError):
        cf.load(tmp_path / "nothing.safetensors")


def test_it_says_what_it_is(program: cf.Program) -> None:
    [port], [output] = program.inputs, program.outputs
    assert port.shape and output.shape == (10,)
    assert output.kind == "classes"
    assert program.rows_a_run == 1
    assert program.name in repr(program)
    assert program.source.endswith("model.pb")


def test_the_report_is_a_page(program: cf.Program, tmp_path: Path) -> None:
    report = program.report
    assert report.ring_bits <= 64 and report.scale > 0
    assert "fractional bits" in repr(report)
    assert report.agreement is not None and report.agreement["examples"] > 0
    assert any("hide_logits=" in warning for warning in report.warnings)
    assert report.page.startswith("<!DOCTYPE html>")
    shown = report._repr_html_()
    assert shown.startswith("<iframe srcdoc=") and "&lt;!DOCTYPE html&gt;" in shown
    assert program._repr_html_() == shown
    report.save(str(tmp_path / "report.html"))
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report.page


def test_errors_are_drawn(program: cf.Program) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    axes = program.report.plot()
    assert len(axes.get_yticklabels()) > 0


def test_layers_are_a_table(program: cf.Program, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    from cryptflow.reports import Table

    importing = builtins.__import__

    def without_pandas(name: str, *rest: object, **more: object) -> object:
        if name == "pandas":
            raise ImportError(name)
        return importing(name, *rest, **more)  # type: ignore[arg-type]

    listed = program.listing()["layers"]
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", without_pandas)
        table = program.layers
    assert isinstance(table, Table)
    assert len(table) == len(listed) and table["name"] == [layer["name"] for layer in listed]
    assert "operation" in repr(table).splitlines()[0] and "<table>" in table._repr_html_()
    pandas = pytest.importorskip("pandas")
    assert isinstance(program.layers, pandas.DataFrame)
    assert list(program.layers["name"]) == table["name"]


def test_costs_are_those_of_a_run(program: cf.Program, digits: dict[str, np.ndarray], parties: cf.Parties) -> None:
    program.run(digits["inputs"][:1], parties)
    assert parties.last is not None
    cost = program.estimate()
    # What keys and outputs take is not in the estimate.
    assert cost.bytes <= parties.last.bytes["total"] <= cost.bytes + 20_000
    assert cost.rounds <= parties.last.rounds <= cost.rounds + 4
    assert cost.network_seconds is None
    slow = program.estimate(rtt=100, bandwidth=10)
    assert slow.network_seconds is not None and slow.network_seconds > cost.rounds * 0.05
    assert program.estimate(protocol="porthos").bytes > cost.bytes
    with pytest.raises(cf.OptionError):
        program.estimate(protocol="nothing")


def test_answers_are_checked(program: cf.Program, digits: dict[str, np.ndarray], parties: cf.Parties) -> None:
    x = digits["inputs"]
    truth = program.plain(x, raw=True).argmax(axis=1)
    found = program.check(x, truth)
    assert found.measure == "accuracy" and found.plain == 1.0 and found.secure == found.same / found.choices
    assert found.choices == found.rows == len(x)
    one_hot = np.eye(10)[truth]
    assert program.check(x, one_hot, parties=parties).plain == 1.0
    assert "decides as the float model" in str(found)
    with pytest.raises(cf.InputError, match="y has the shape"):
        program.check(x, truth[:3])


def test_options_are_those_of_the_command(digits: dict[str, np.ndarray]) -> None:
    fixed = cf.compile(DIGITS / "model.pb", digits["calibration"], scale=10, ring=64, name="ten", rows=16, progress=False)
    assert fixed.report.scale == 10 and fixed.report.ring_bits == 64 and fixed.name == "ten"
    hidden = cf.compile(DIGITS / "model.pb", digits["calibration"], hide_logits=True, tolerance=0.01, progress=False)
    assert hidden.estimate().rounds >= fixed.estimate().rounds
    labels = cf.compile(DIGITS / "model.pb", digits["calibration"], accuracy="labels", progress=False)
    assert labels.estimate().bytes < fixed.estimate().bytes and labels.report.data["decisions"]
    with pytest.raises(cf.OptionError, match="`exact` or `labels`"):
        cf.compile(DIGITS / "model.pb", digits["calibration"], accuracy="some")
    with pytest.raises(cf.OptionError, match="scale of 99"):
        cf.compile(DIGITS / "model.pb", digits["calibration"], scale=99)
    with pytest.raises(cf.OptionError, match=r"\(calibration=\).*\(range=\)") as caught:
        cf.compile(DIGITS / "model.pb")
    assert caught.value.code == "no-bounds"
    with pytest.raises(cf.OptionError, match="no output 'else'|no output \"else\""):
        cf.compile(DIGITS / "model.pb", digits["calibration"], tolerance={"else": 0.1})


@pytest.mark.parametrize(
    "options", [{"rows": 0}, {"divide": 0}, {"std": [1.0, 0.0]}, {"resize": (8, 8), "crop": (9, 8)}, {"range": (1,)}]
)
def test_numbers_that_make_no_sense(options: dict[str, Any], digits: dict[str, np.ndarray]) -> None:
    with pytest.raises(cf.OptionError):
        cf.compile(DIGITS / "model.pb", digits["calibration"], **options)


def test_warnings_are_warnings(digits: dict[str, np.ndarray]) -> None:
    with pytest.warns(cf.CompileWarning):
        cf.compile(DIGITS / "model.pb", range=(-1.0, 1.0), progress=False)


def test_progress_is_told(program: cf.Program, digits: dict[str, np.ndarray], caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[int, int, str]] = []
    x = digits["inputs"][:2]
    program.simulate(x, progress=lambda *how_far: told.append(how_far))
    steps = program.listing()["totals"]["steps"]
    assert [done for done, _, _ in told] == list(range(1, 2 * steps + 1))
    assert {total for _, total, _ in told} == {2 * steps}
    with caplog.at_level(logging.INFO, logger="cryptflow"):
        cf.compile(DIGITS / "model.pb", digits["calibration"], rows=8, progress=False)
    assert any("fractional bits" in message for message in caplog.messages)


def test_bars_are_tqdms(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    tqdm = pytest.importorskip("tqdm")
    closed = []

    class Bar(tqdm.tqdm):  # type: ignore[misc]
        def close(self) -> None:
            closed.append((self.n, self.total))
            super().close()

    program.simulate(digits["inputs"][:1], progress=Bar)
    assert closed and closed[0][1] == program.listing()["totals"]["steps"]


def test_a_callback_may_stop_the_work(program: cf.Program, digits: dict[str, np.ndarray]) -> None:
    def stop(*_: object) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        program.simulate(digits["inputs"], progress=stop)
    with pytest.raises(RuntimeError, match="enough"):
        cf.compile(DIGITS / "model.pb", digits["calibration"], progress=stop)


def test_errors_go_between_processes() -> None:
    error = cf.UnsupportedError("text", "unsupported", [cf.Node("a", "B", "c", "d")])
    read = pickle.loads(pickle.dumps(error))
    assert (str(read), read.code, read.nodes) == (str(error), error.code, error.nodes)


def test_listings_are_json(program: cf.Program) -> None:
    assert json.dumps(program.listing("porthos-exact"))
