"""Log templates against labelled logs: are the lines grouped as people grouped them, and how fast.

    python -m benchmarks.templates --data ../shared/data --json out.json

A system is a file `NAME_structured_corrected.csv` (the labels of Khan et al. 2022) or, where only that
is there, `NAME_structured.csv`: columns Content, EventId, EventTemplate. One miner each, as it is shipped.

- `ga`: the share of lines whose group is exactly a true one (grouping accuracy).
- `fga`: the harmonic mean of precision and recall over groups instead of lines.
- corrected labels: lines are one group that have one corrected EventTemplate. `eventid`: that have one
  EventId in the corrected file; `original`: one EventId in the uncorrected file.
- `lines_per_s_repeated`: all systems' lines, met before; `lines_per_s_fresh`: the same with every number
  and hexadecimal word replaced, in a new miner, so that no line and hardly a word was met before.

drain3, by its default configuration, is the peer where it is installed (`requirements/peers.txt`), or by `--drain3 PYTHON`.
`--nested` chooses the miner's thresholds for each system by the other systems only.
"""

from __future__ import annotations

import csv
import itertools
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.packs import NoData, absent, data_dir, roots
from benchmarks.report import Row, arguments, tell
from collectors.settings import TemplateSettings
from collectors.templates import TemplateMiner

_BATCH = 500
_GRID = [
    TemplateSettings(identifiers_min=i, names_min=n, words_min=w, first_words_min=f)
    for i, n, w, f in itertools.product((3, 4, 5), (2, 3, 4), (4, 6, 8), (8, 12, 16))
]
_PEER = """
import json, sys, time
from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig
def mine(miner, lines):
    began = time.process_time()
    ids = [miner.add_log_message(line)["cluster_id"] for line in lines]
    return ids, time.process_time() - began
new = lambda: TemplateMiner(config=TemplateMinerConfig())
systems, lines, fresh = json.load(sys.stdin)
known = new()
mine(known, lines)
ids = {name: mine(new(), own)[0] for name, own in systems.items()}
json.dump([ids, mine(known, lines)[1], mine(new(), fresh)[1]], sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class System:
    """A labelled log: its messages, and the truth by three kinds of label."""

    name: str
    messages: list[str]
    truth: dict[str, list[str]]


def main() -> None:
    """Measure, and say."""
    parser = arguments(__doc__ or "", data=True)
    parser.add_argument("--drain3", metavar="PYTHON", help="an interpreter that has drain3")
    parser.add_argument("--nested", action="store_true", help="thresholds by other systems only")
    options = parser.parse_args()
    try:
        systems = find(data_dir(options.data))
    except NoData as why:
        absent(str(why))
        return
    rows = quality(systems)
    if options.nested:
        rows += nested(systems)
    rows += speed(systems, _all_lines(systems))
    peer = options.drain3 or (sys.executable if find_spec("drain3") else "")
    if peer:
        rows = _beside(rows, _peer(peer, systems))
    tell(rows, options.json)


def find(data: Path) -> list[System]:
    """The labelled logs below a directory and in its packs, each name once.

    Raises
    ------
    NoData
        If there is none.
    """
    found: dict[str, System] = {}
    for suffix in ("_structured_corrected.csv", "_structured.csv"):
        for root in roots(data, "B_loghub"):
            for path in sorted(root.rglob("*" + suffix)):
                name = path.name.removesuffix(suffix).removesuffix(".log").removesuffix("_2k")
                if name not in found:
                    found[name] = _system(name, path, suffix)
    if not found:
        raise NoData(f"no *_structured_corrected.csv in {data} or its packs B_loghub*.tar.zst")
    return [found[name] for name in sorted(found)]


def _system(name: str, path: Path, suffix: str) -> System:
    rows = _read(path)
    truth = {"corrected": [row["EventTemplate"] for row in rows]}
    truth["eventid"] = [row["EventId"] for row in rows]
    original = path.with_name(path.name.replace(suffix, "_structured.csv"))
    if original.is_file():
        truth["original"] = [row["EventId"] for row in _read(original)]
    return System(name, [row["Content"] for row in rows], truth)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def grouping(found: Sequence[Hashable], truth: Sequence[Hashable]) -> tuple[float, float]:
    """Grouping accuracy over lines, and its F1 over groups.

    Examples
    --------
    >>> grouping([1, 1, 2, 3], ["a", "a", "b", "b"])
    (0.5, 0.4)
    """
    ours, theirs = _groups(found), _groups(truth)
    same = ours & theirs
    return sum(map(len, same)) / len(truth), 2 * len(same) / (len(ours) + len(theirs))


def _groups(labels: Sequence[Hashable]) -> set[tuple[int, ...]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for at, label in enumerate(labels):
        groups[label].append(at)
    return {tuple(group) for group in groups.values()}


def mined(messages: list[str], settings: TemplateSettings | None = None) -> list[int]:
    """The template of each message, as it stands in the end."""
    miner = TemplateMiner(settings)
    return [miner.current(number) for number in miner.mine(messages)]


def quality(systems: list[System]) -> list[Row]:
    """Grouping of each system and the means, by each kind of label."""
    rows = []
    sums: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for system in systems:
        numbers = mined(system.messages)
        for label, truth in system.truth.items():
            score = grouping(numbers, truth)
            sums[label].append(score)
            if label != "eventid":
                rows += _two("", score, f"{system.name} {label}")
    for label, scores in sums.items():
        end = "_mean" if label == "corrected" else f"_mean_{label}"
        ga, fga = zip(*scores, strict=True)
        mean = statistics.fmean(ga), statistics.fmean(fga)
        rows += _two(end, mean, f"{len(scores)} systems")
    return rows


def _two(end: str, score: tuple[float, float], subject: str) -> list[Row]:
    return [Row("ga" + end, subject, score[0], ""), Row("fga" + end, subject, score[1], "")]


def nested(systems: list[System]) -> list[Row]:
    """The means when each system's thresholds are those that are best for all the others."""
    scores = [
        [grouping(mined(s.messages, settings), s.truth["corrected"]) for settings in _GRID]
        for s in systems
    ]
    held = []
    for at in range(len(systems)):
        others = [score for n, score in enumerate(scores) if n != at]
        best = max(range(len(_GRID)), key=lambda g: sum(sum(other[g]) for other in others))
        held.append(scores[at][best])
    ga, fga = zip(*held, strict=True)
    subject = f"{len(systems)} systems"
    return [
        Row("ga_mean_nested", subject, statistics.fmean(ga), ""),
        Row("fga_mean_nested", subject, statistics.fmean(fga), ""),
    ]


def _all_lines(systems: list[System]) -> list[str]:
    return [message for system in systems for message in system.messages]


def speed(systems: list[System], lines: list[str]) -> list[Row]:
    """Lines a CPU second, of lines met before and of fresh ones; best of three."""
    miner = TemplateMiner()
    _take(miner, lines)
    repeated = max(len(lines) / _take(miner, lines) for _ in range(3))
    fresh = max(len(lines) / _take(TemplateMiner(), freshened(lines, seed)) for seed in range(3))
    subject = f"{len(systems)} systems"
    return [
        Row("lines_per_s_repeated", subject, repeated, "/s"),
        Row("lines_per_s_fresh", subject, fresh, "/s"),
    ]


def _take(miner: TemplateMiner, lines: list[str]) -> float:
    began = time.process_time()
    for at in range(0, len(lines), _BATCH):
        miner.mine(lines[at : at + _BATCH])
    return time.process_time() - began


def freshened(lines: list[str], seed: int) -> list[str]:
    """The lines with every number and hexadecimal word of two digits or more made another.

    Examples
    --------
    >>> line, = freshened(["took 4512 ms at 0x1f2e3d"], 1)
    >>> line.startswith("took 4512"), len(line)
    (False, 24)
    """
    draw = random.Random(seed)

    def other(match: re.Match[str]) -> str:
        return "".join(draw.choice("123456789" if c.isdigit() else "abcdef") for c in match[0])

    return [re.sub(r"(?<![g-zG-Z])[0-9a-f]*[0-9][0-9a-f]+", other, line) for line in lines]


def _peer(python: str, systems: list[System]) -> dict[str, float]:
    lines = _all_lines(systems)
    work = [{system.name: system.messages for system in systems}, lines, freshened(lines, 0)]
    done = subprocess.run(
        [python, "-c", _PEER], input=json.dumps(work), capture_output=True, text=True, check=True
    )
    ids, repeated, fresh = json.loads(done.stdout)
    scores = [grouping(ids[system.name], system.truth["corrected"]) for system in systems]
    ga, fga = zip(*scores, strict=True)
    return {
        "ga_mean": statistics.fmean(ga),
        "fga_mean": statistics.fmean(fga),
        "lines_per_s_repeated": len(lines) / repeated,
        "lines_per_s_fresh": len(lines) / fresh,
    }


def _beside(rows: list[Row], peer: dict[str, float]) -> list[Row]:
    return [
        Row(r.measure, r.subject, r.value, r.unit, "drain3", r.value / peer[r.measure])
        if r.measure in peer
        else r
        for r in rows
    ]


if __name__ == "__main__":
    main()
