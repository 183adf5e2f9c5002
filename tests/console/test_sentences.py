"""Errors and the command line in another language: every text, and none taken for another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.i18n import LANGUAGES, catalogue
from console.messages import PACKAGES, collect
from console.raised import FOR_MACHINES, within
from console.sentences import retell, tell
from model.reason import because
from tests.console.conftest import House

ROOT = Path(__file__).resolve().parents[2]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
OTHERS = [language for language in LANGUAGES if language != "en"]


def errors() -> list[str]:
    """Message ids of sentences that are recognised: their placeholders are numbers."""
    return [one for one in collect() if re.search(r"\{\d\}", one)]


def test_no_sentence_leaves_unread() -> None:
    """An error's text stands where it is raised; made elsewhere, nobody would see that it lacks a translation."""
    paths = [path for one in ("model", "store", *PACKAGES) for path in (ROOT / one).rglob("*.py")]
    names = {str(path.relative_to(ROOT)): path for path in paths}
    found = [
        f"{name}:{line}: {text}"
        for name, path in sorted(names.items())
        if not name.startswith(FOR_MACHINES)
        for line, text in within(path.read_text(encoding="utf-8")).unread
    ]
    assert found == []


def test_what_is_left_in_english_is_there() -> None:
    """A module that is gone, or renamed, is not left in the list of those that stay English."""
    paths = [str(path.relative_to(ROOT)) for one in ("store", *PACKAGES) for path in (ROOT / one).rglob("*.py")]  # fmt: skip
    assert [one for one in FOR_MACHINES if not any(p.startswith(one) for p in paths)] == []


@pytest.mark.parametrize("language", OTHERS)
def test_every_error_is_recognised_as_itself(language: str) -> None:
    """A looser sentence that takes another's place would say something else."""
    said, wrong = catalogue(language), []
    for message in errors():
        values = [f"v{number}" for number in range(10)]
        if retell(message.format(*values), language) != said[message].format(*values):
            wrong.append(message)
    assert wrong == []


# A table: the English text, and what is said.
SAID = [
    # A value stays as it came, also where it is a word that the catalogue knows.
    ('no service "open" in catalogue.yaml', 'catalogue.yaml 中没有服务 "open"'),
    # The key of a list of texts stands before the sentence.
    (
        'total must be a selector such as requests_total{job="shop"}, got "{"',
        'total 必须是选择器，例如 requests_total{job="shop"}，得到 "{"',
    ),
    # Another sentence of ours, or of the system, in a sentence.
    ('unknown key; did you mean "interval"?', '未知的键；是否指 "interval"？'),
    (
        "/tmp/x: cannot be opened: [Errno 13] Permission denied",
        "/tmp/x：无法打开：[Errno 13] 权限不足",
    ),
    # Only what is behind the place is known.
    ("a.yaml:3:3: kafka.domains: domains must lie between 1 and 1000", "a.yaml:3:3: kafka.domains: domains 必须在 1 到 1000 之间"),
    # Several lines are several sentences.
    ("must be set by hand\nurl must be given", "must be set by hand\n必须给出 url"),
    # Nobody's sentence stays as it is, and so does a bare word.
    ("the moon is full of cheese", "the moon is full of cheese"),
    ("shop", "shop"),
    ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), SAID)
def test_a_sentence_is_said_again(text: str, said: str) -> None:
    assert retell(text, "zh_CN") == said
    assert retell(text, "en") == text


def test_a_reason_says_the_error_that_it_quotes() -> None:
    reason = because("the scrape failed: {error}", error="answered 500, expected 200")
    assert tell(reason, "zh_CN") == "抓取失败：应答为 500，应为 200"
    assert tell(reason, "en") == "the scrape failed: answered 500, expected 200"


@given(st.text(max_size=200))
def test_no_text_is_too_strange(text: str) -> None:
    """What is quoted comes from outside: braces, newlines, anything."""
    assert isinstance(retell(text, "zh_CN"), str)
    assert retell(f"cannot be read: {text}", "en") == f"cannot be read: {text}"


@given(st.text(st.characters(exclude_characters="\r\n"), max_size=50))
def test_a_value_comes_through_unchanged(value: str) -> None:
    quoted = value.replace(" ", "_")
    said = retell(f'service "{quoted}" is listed twice', "zh_CN")
    assert said == f'服务 "{quoted}" 被列出了两次'


def test_an_answer_of_the_api_is_in_the_callers_language(house: House) -> None:
    ask = house.client().get
    chinese = ask("/api/v1/incidents?limit=many", headers={"accept-language": "zh-CN"})
    assert chinese.status_code == 400
    assert chinese.json()["error"] == "查询参数 limit：必须是整数，得到 'many'"
    english = ask("/api/v1/incidents?limit=many", headers={"accept-language": "en"}).json()
    assert english["error"] == "query parameter limit: must be a whole number, got 'many'"


def test_an_answer_to_a_push_is_english(house: House) -> None:
    """It ends in the log of a program, beside the words of its protocol."""
    answer = house.client().post(
        "/api/v2/alerts", content=b"{", headers={"accept-language": "zh-CN"}
    )
    assert answer.status_code == 400 and not CHINESE.search(answer.text)


@pytest.mark.parametrize(
    ("source", "templates", "unread"),
    [
        # Where it is raised, and through a name that is assigned in the same function.
        ("raise InputError(f'no {x} {y}')", ["no {0} {1}"], []),
        (
            "def f():\n    if x:\n        w = 'a b'\n    else:\n        w = 'c d'\n    raise E(w)",
            ["a b", "c d"],
            [],
        ),
        # A name of another function is another name.
        ("def f():\n    w = 'a b'\ndef g():\n    raise E(w)", [], ["w"]),
        # What a caller gave, and what an exception said, is looked for there.
        ("def f(w):\n    raise E(w)", [], []),
        ("try:\n    pass\nexcept X as e:\n    raise E(str(e))", [], []),
        # Either of two, and what is joined to it.
        ("raise E('a b' if x else 'c d')", ["a b", "c d"], []),
        ("def h():\n    return '; as d'\nraise E('a b' + h())", ["a b{0}", "; as d"], []),
        # An exception that is returned.
        ("def f():\n    return TransientError('a b')", ["a b"], []),
        # Braces that are meant.
        ("raise E('write {x}')", ["write {{x}}"], []),
        # What is no error, and what nobody is told.
        ("print('a b')\nassert x, 'c d'\nraise KeyError('e f')", [], []),
        # Where it cannot be seen what will be said.
        ("raise E(x.why)", [], ["x.why"]),
    ],
)
def test_what_is_read_of_a_module(source: str, templates: list[str], unread: list[str]) -> None:
    found = within(source)
    assert list(found.templates) == templates
    assert [text for _, text in found.unread] == unread


def test_a_sentence_is_told_whole_or_not_at_all() -> None:
    """Answers to programs are English; what pydantic says is pieced together of pieces that are known."""
    english = "/endsAt: must be after startsAt and not past, got 1"
    assert retell(english, "zh_CN") == english
    assert retell("retries must be many or few, got 1", "zh_CN").isascii()
    assert (
        retell("must be less than or equal to 5, got 6", "zh_CN")
        == "必须是小于或等于 5 的值，得到 6"
    )
