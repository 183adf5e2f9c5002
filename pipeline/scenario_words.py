"""One line of an `at` block: something that happens (`Input`), or something expected (`Check`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from model.errors import InputError
from model.incident import ActKind
from model.labels import Labels, Matcher
from model.units import parse_duration
from pipeline.notation import parse_labels

PUSHES_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Input:
    """Something that happens.

    Attributes
    ----------
    verb : str
        "push", "change", "silence", "desk", "heartbeat", or a person's act ("acknowledge", …).
    target : str
        Alert name, service, incident's service or ticket, heartbeat's name; "" where there is none.
    word : str
        The verb's own word: "firing", the change's kind, "down", …
    times : int
        So many alerts that differ in the label `number`.
    """

    line: int
    verb: str
    target: str = ""
    word: str = ""
    text: str = ""
    actor: str = ""
    duration_ms: int = 0
    labels: Labels = Labels()
    matchers: tuple[Matcher, ...] = ()
    times: int = 1


@dataclass(frozen=True, slots=True)
class Check:
    """Something expected.

    Attributes
    ----------
    kind : str
        "alert", "incident", "ticket", "page" or "sla".
    count : int or None
        Exactly so many records have the facts; None: at least one.
    facts : tuple of (name, value)
        What a record must be, in the words of the language (`("state", "open")`).
    text : str
        The line, for the message of a failure.
    """

    line: int
    kind: str
    count: int | None
    facts: tuple[tuple[str, str], ...]
    labels: Labels
    text: str


class WordError(InputError):
    """A word is not what was expected; `column` counts from 0 in the line's text."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


_WORD = re.compile(
    r'\s*(?:(?P<braces>\{(?:[^}"]|"(?:[^"\\]|\\.)*")*\})|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<comma>,)|(?P<word>[^\s,{}"]+))'
)


class Words:
    """The words of one line, taken from the left.

    Examples
    --------
    >>> words = Words('change deploy shop "v2, at last"', 7)
    >>> words.take("verb"), words.take("kind"), words.take("service"), words.quoted("title")
    ('change', 'deploy', 'shop', 'v2, at last')
    """

    def __init__(self, text: str, line: int) -> None:
        self.text = text
        self.line = line
        self._at = 0
        self._words: list[tuple[str, str, int]] = []
        position = 0
        while text[position:].strip():
            match = _WORD.match(text, position)
            if match is None:
                raise WordError(f"cannot be read: {text[position:].strip()!r}", position)
            kind = match.lastgroup or ""
            self._words.append((kind, match[kind], match.start(kind)))
            position = match.end()

    @property
    def column(self) -> int:
        """Where the next word stands."""
        return self._words[self._at][2] if self._at < len(self._words) else len(self.text)

    def peek(self, kind: str = "word") -> str | None:
        """The next word if it is of that kind."""
        if self._at < len(self._words) and self._words[self._at][0] == kind:
            return self._words[self._at][1]
        return None

    def take(self, what: str, kind: str = "word") -> str:
        """The next word, which must be of that kind."""
        found = self.peek(kind)
        if found is None:
            came = (
                self._words[self._at][1] if self._at < len(self._words) else "the end of the line"
            )
            raise WordError(f"must be {what}, got {came!r}", self.column)
        self._at += 1
        return found

    def quoted(self, what: str) -> str:
        """The next word, in quotes."""
        return re.sub(r"\\(.)", r"\1", self.take(f"{what} in quotes", "quoted"))

    def maybe(self, *words: str) -> str | None:
        """Take the next word if it is one of these."""
        found = self.peek()
        if found in words:
            self._at += 1
            return found
        return None

    def one_of(self, *words: str) -> str:
        """Take the next word, which must be one of these."""
        column = self.column
        found = self.take("one of " + ", ".join(words))
        if found not in words:
            raise WordError(f'must be one of {", ".join(words)}, got "{found}"', column)
        return found

    def duration_ms(self, what: str) -> int:
        """Take a duration."""
        column = self.column
        try:
            return parse_duration(self.take(what))
        except WordError:
            raise
        except InputError as error:
            raise WordError(str(error), column) from None

    def number(self, low: int, high: int) -> int:
        """Take a whole number."""
        column = self.column
        found = self.take("a number")
        if not (found.isascii() and found.isdigit() and low <= int(found[:9]) <= high):
            raise WordError(f"must be a number from {low} to {high}, got {found!r}", column)
        return int(found)

    def labels(self) -> Labels:
        """Take `{…}` if it is there."""
        column = self.column
        if self.peek("braces") is None:
            return Labels()
        try:
            return parse_labels(self.take("labels", "braces")[1:-1])
        except InputError as error:
            raise WordError(str(error), column) from None

    def comma(self) -> bool:
        """Take a comma if it is next."""
        if self.peek("comma") is None:
            return False
        self._at += 1
        return True

    def done(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._words)


def parse_statement(words: Words) -> Input | Check:
    """Read one line of an `at` block.

    Examples
    --------
    >>> parse_statement(Words("ticket OPS-1 open, 2 alerts", 3)).facts
    (('number', 'OPS-1'), ('state', 'open'), ('alerts', '2'))
    >>> parse_statement(Words('push Down{service="pg"} firing', 3)).word
    'firing'
    """
    column = words.column
    verb = words.take("a verb")
    if kind := _KINDS.get(verb):
        statement: Input | Check = _check(words, kind)
    elif read := _INPUTS.get(verb):
        statement = read(words, verb)
    else:
        known = ", ".join([*_INPUTS, *sorted(set(_KINDS.values()))])
        raise WordError(f'must be one of {known}, got "{verb}"', column)
    if not words.done():
        column = words.column
        raise WordError(f"not expected here: {words.text[column:]!r}", column)
    return statement


def _push(words: Words, verb: str) -> Input:
    name = words.take("an alert's name")
    labels = words.labels()
    word = words.one_of("firing", "resolved")
    actor = words.take("a source's name") if words.maybe("from") else "push"
    expires_ms = words.duration_ms("a duration") if words.maybe("expires") else 0
    times = words.number(1, PUSHES_MAX) if words.maybe("times") else 1
    return Input(
        words.line,
        verb,
        name,
        word,
        actor=actor,
        duration_ms=expires_ms,
        labels=labels,
        times=times,
    )


def _change(words: Words, verb: str) -> Input:
    kind, service = words.take("a kind of change"), words.take("a service")
    return Input(words.line, verb, service, kind, words.quoted("its title"))


def _act(words: Words, verb: str) -> Input:
    """`acknowledge [service or ticket] ["text"] [by name]`."""
    target = (words.peek() not in (None, "by") and words.take("a target")) or ""
    text = words.quoted("text") if words.peek("quoted") is not None else ""
    actor = words.take("a name") if words.maybe("by") else "ann"
    return Input(words.line, verb, target, text=text, actor=actor)


def _silence(words: Words, verb: str) -> Input:
    column = words.column
    inside = words.take("matchers in braces", "braces")[1:-1]
    parts = re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+', inside)
    try:
        matchers = tuple(Matcher.parse(part) for part in parts)
    except InputError as error:
        raise WordError(str(error), column) from None
    words.one_of("for")
    return Input(words.line, verb, matchers=matchers, duration_ms=words.duration_ms("a duration"))


def _desk(words: Words, verb: str) -> Input:
    return Input(words.line, verb, word=words.one_of("down", "up"))


def _heartbeat(words: Words, verb: str) -> Input:
    name = words.take("a heartbeat's name")
    words.one_of("every")
    every_ms = words.duration_ms("a duration")
    service = words.take("a service") if words.maybe("service") else ""
    return Input(words.line, verb, name, service, duration_ms=every_ms)


_INPUTS: dict[str, Callable[[Words, str], Input]] = {
    "push": _push,
    "change": _change,
    "silence": _silence,
    "desk": _desk,
    "heartbeat": _heartbeat,
    **{kind.value: _act for kind in ActKind},
}
_KINDS = {
    kind + plural: kind
    for kind in ("alert", "incident", "ticket", "page", "sla")
    for plural in ("", "s")
}
_TICKET = re.compile(r"[A-Za-z][A-Za-z0-9_]*-\d+")
# Words that say their fact by themselves, by kind.
_PLAIN: dict[str, dict[str, str]] = {
    "alert": dict.fromkeys(("firing", "resolved"), "state") | {"silenced": "silenced"},
    "incident": dict.fromkeys(("open", "acknowledged", "resolved", "closed", "merged"), "state")
    | dict.fromkeys(("flapping", "muted"), ""),
    "ticket": dict.fromkeys(("open", "in_progress", "resolved", "closed"), "state"),
    "page": dict.fromkeys(("failed",), ""),
    "sla": dict.fromkeys(("running", "paused", "stopped", "breached"), "state"),
}
# Facts with a value after them.
_VALUED = {
    "alert": ("severity", "service"),
    "incident": ("cause", "priority", "service", "severity", "title", "change", "team", "reopened"),
    "ticket": ("priority", "service", "title", "comment"),
    "page": ("why", "to", "title"),
    "sla": ("of", "warned", "service"),
}
_COUNTED = {"incident": ("alert", "alerts", "firing"), "ticket": ("alert", "alerts")}


def _check(words: Words, kind: str) -> Check:
    facts: list[tuple[str, str]] = []
    count, labels = None, Labels()
    if kind == "alert":
        facts.append(("name", words.take("an alert's name")))
        labels = words.labels()
    elif kind == "ticket" and _TICKET.fullmatch(words.peek() or ""):
        facts.append(("number", words.take("a number")))
    elif kind == "sla" and words.peek() in ("response", "resolution"):
        facts.append(("of", words.take("a promise")))
    if words.maybe("none"):
        count = 0
    elif (words.peek() or "").isdigit() and not _is_counted(words, kind):
        count = int(words.take("a count"))
        words.comma()
    elif words.done() and kind in ("incident", "page", "sla"):
        raise WordError("needs a count, none, or a fact", words.column)
    while not words.done():
        facts.append(_fact(words, kind))
        if not words.comma() and not words.done():
            raise WordError('must be "," and another fact', words.column)
    return Check(words.line, kind, count, tuple(facts), labels, words.text)


def _is_counted(words: Words, kind: str) -> bool:
    """Whether the number ahead counts alerts (`2 alerts`) and not records (`2`)."""
    ahead = [word for _, word, _ in words._words[words._at : words._at + 2]]
    return len(ahead) == 2 and ahead[1] in _COUNTED.get(kind, ())


def _fact(words: Words, kind: str) -> tuple[str, str]:
    column = words.column
    word = words.take("a fact")
    if word.isdigit() and kind in _COUNTED:
        unit = words.one_of(*_COUNTED[kind])
        return ("firing" if unit == "firing" else "alerts", str(int(word)))
    if word in _PLAIN[kind]:
        return (_PLAIN[kind][word], word) if _PLAIN[kind][word] else (word, "yes")
    if word in _VALUED[kind]:
        value = words.peek("quoted")
        return (word, words.quoted(word) if value is not None else words.take(f"the {word}"))
    known = ", ".join([*_PLAIN[kind], *_VALUED[kind]])
    raise WordError(f'must be one of {known}, got "{word}"', column)
