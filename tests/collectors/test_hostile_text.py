"""Answers of targets that were made to stop the loop."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from collectors.exposition import Format
from collectors.layout import Layout
from model.series import SeriesIndex

READ = """
import sys
from collectors.exposition import Format, read_line
from model.errors import InputError
before, after = sys.argv[1:]
try:
    print(read_line(before + " " * 2**20 + after, Format.TEXT).value)
except InputError:
    print("refused")
"""


def reader(**limits: Any) -> Layout:
    return Layout(SeriesIndex(), source="t", target={}, **limits)


# Each took hours, in the loop's own thread, which nothing can interrupt: hence a process of its own. The
# time limit is far from what is needed (milliseconds) and from what was (the square of a million).
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("up", "{} 1", "1.0"),
        ("up", "1", "1.0"),
        ("up 1", "# {", "1.0"),
        ("up{a", "x} 1", "refused"),
        ('up{a="b"', "x} 1", "refused"),
        ("up{", "x", "refused"),
    ],
)
def test_a16_a_line_of_a_million_spaces_is_read_in_one_pass(
    before: str, after: str, said: str
) -> None:
    command = [sys.executable, "-c", READ, before, after]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == said


def test_a23_lines_beyond_any_use_are_counted_but_not_kept() -> None:
    layout = reader(series_max=10)
    body = b"".join(b"m%d 1\n" % number for number in range(1_000))
    for _ in range(3):  # read anew, and by the layout of the body before
        scraped = layout.read(body, Format.TEXT, now_ms=0)
        assert (len(scraped.rows), scraped.refused) == (10, 1_000 - 10)
    assert len(layout._rows) <= 40


def test_a23_after_very_many_bad_lines_the_rest_is_not_read_with_care() -> None:
    body = b"@ 1\n" * 10_001 + b"good 1\n"
    scraped = reader().read(body, Format.TEXT, now_ms=0)
    assert (scraped.bad, len(scraped.rows)) == (10_002, 0)
    body = b"@ 1\n" * 9_999 + b"good 1\n"
    assert len(reader().read(body, Format.TEXT, now_ms=0).rows) == 1
