"""The log of a help desk is found by its layout, and the report says of it what it says of itself."""

from __future__ import annotations

import zipfile
from pathlib import Path

from benchmarks import reports

HEADER = "number,incident_state,opened_at,resolved_at,closed_at,made_sla,priority,assignment_group"
ROWS = [
    "INC1,New,1/3/2016 10:00,1/3/2016 12:00,6/3/2016 12:00,true,3 - Moderate,desk",
    "INC1,Closed,1/3/2016 10:00,1/3/2016 12:00,6/3/2016 12:00,false,3 - Moderate,web",
    "INC2,Closed,1/3/2016 11:00,1/3/2016 11:30,6/3/2016 11:30,true,1 - Critical,web",
    "INC3,Closed,2/3/2016 11:00,?,7/3/2016 11:30,true,4 - Low,?",
    # The end of the file cut this one off.
    "INC4,Active,3/3/2016 11:00,?,?,true,4 - Low,web",
]


def test_found_by_layout_and_the_same_as_the_log(tmp_path: Path) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    (data / "other.csv").write_text("time,value\n1,2\n", encoding="utf-8")
    with zipfile.ZipFile(data / "log.zip", "w") as pack:
        pack.writestr("log.csv", "\n".join([HEADER, *ROWS]) + "\n")
    ((name, path),) = reports.find(data, cache)
    assert name == "log" and cache in path.parents
    rows = {(row.measure, row.subject): row for row in reports.measure(path, name)}
    values = {measure: row.value for (measure, subject), row in rows.items() if subject == "log"}
    assert (values["incidents"], values["sla_met"], values["resolved"]) == (3, 2, 2)
    assert (values["mttr_mean_hours"], values["mttr_median_hours"]) == (1.25, 1.25)
    assert {row.ratio for row in rows.values() if row.peer} == {1.0}
