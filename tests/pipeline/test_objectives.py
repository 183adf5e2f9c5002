"""Objectives on their way from slo.yaml to the detectors, and on the command line."""

from __future__ import annotations

from pathlib import Path

from model.slo import OBJECTIVES_MAX, Objective, SloState
from pipeline.commands.slo import _row
from pipeline.problems import ConfigurationError
from pipeline.settings import load
from pipeline.wiring import build_knowledge


def folder(tmp_path: Path, text: str) -> Path:
    (tmp_path / "tocsin.yaml").write_text("{}")
    (tmp_path / "slo.yaml").write_text(text)
    return tmp_path


def test_two_lines_reach_the_detectors_but_not_those_of_a_simulated_past(tmp_path: Path) -> None:
    settings = load(folder(tmp_path, "objectives:\n  - service: checkout\n"))
    assert build_knowledge(settings).slos == (Objective("checkout"),)
    assert build_knowledge(settings, simulated=True).slos == ()


def test_no_file_no_objectives(tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text("{}")
    assert load(tmp_path).slos == ()


def test_there_is_a_limit(tmp_path: Path) -> None:
    def text(count: int) -> str:
        return "objectives:\n" + "".join(f"- service: s{n}\n" for n in range(count))

    assert len(load(folder(tmp_path, text(OBJECTIVES_MAX))).slos) == OBJECTIVES_MAX
    try:
        load(folder(tmp_path, text(OBJECTIVES_MAX + 1)))
    except ConfigurationError as error:
        assert "must be at most 500, got 501" in str(error)
    else:
        raise AssertionError("one too many was taken")


def test_rows_of_the_table() -> None:
    state = SloState(Objective("cart"), 0, total=5.0)
    mine = {
        "name": "cart-availability",
        "service": "cart",
        "objective": 99.9,
        "window_ms": state.objective.window_ms,
    }
    one = {
        "objective": mine, "total": 1000.0, "attained": 0.9991, "remaining": 0.1, "burn": 2.5,
        "gone_ms": 104_000_000, "soonest_ms": 90_000_000, "latest_ms": 126_000_000, "state": "ok",
    }  # fmt: skip
    assert _row(one)[2:] == (
        "99.9 %",
        "30d",
        "99.91 %",
        "10.0%",
        "2.5x",
        "1d4h (1d1h to 1d11h)",
        "ok",
    )
    # Perhaps never; spent; lasts; nothing counted.
    assert _row(one | {"latest_ms": None})[7] == "1d4h (1d1h to never)"
    assert _row(one | {"remaining": -0.1})[7] == "spent"
    assert _row(one | {"gone_ms": None})[7] == "lasts"
    assert _row(one | {"total": 0.0, "burn": None})[4:8] == ("-", "-", "-", "-")
