"""The form of a masked message: what two writings of one sentence have in common.

Values alone do not make two messages one template: a list may be longer, a size told in another
unit, a name within quotes have a space. Each rule here takes away one such freedom, and each holds for
any program's messages, since it follows from how people write values and not from one log.
"""

from __future__ import annotations

import re

from collectors.tokens import CLOSE, OPEN, OPENER, PARAMETER, is_dotted

Form = tuple[str, ...]

_UNITS = frozenset(
    "b byte bytes kb mb gb tb kib mib gib tib bit bits bps kbps mbps b/s kb/s mb/s gb/s"
    " ns us ms s sec secs second seconds min mins minute minutes h hr hrs hour hours day days".split()
)
_PERIOD_MAX = 4
_ENCLOSED_WORDS_MAX = 16
_VALUE = re.compile(r"[(\[{<\"'`]*<\*>[)\]}>\"'`,;:.!?|]*")
_ENCLOSING = re.compile(r"(?:(.*\w[({\[])|(.*=)[\"'])<\*>[,;]?")
_CLOSER = {opener: closer for closer, opener in OPENER.items()}


def shape(words: list[str]) -> tuple[Form, Form]:
    """The form of a message's masked words, and the same with the units left in, to be shown.

    Examples
    --------
    >>> form, shown = shape("sent <*> bytes (<*> KB) to <*>, <*>, <*> in <*> ms".split())
    >>> " ".join(form), " ".join(shown)
    ('sent <*> to <*> in <*>', 'sent <*> bytes to <*> in <*> ms')
    >>> " ".join(shape('lock="<*> Lock", by <*> <ok> <*> <ok> <*> <ok>'.split())[0])
    'lock=<*>, by <*> <ok>'
    >>> " ".join(shape("closed Surface(<*> - <*>) by Task{<*> of you}}: done".split())[0])
    'closed Surface(<*>) by Task{<*>}: done'
    """
    form: list[str] = []
    shown: list[str] = []
    since = _PERIOD_MAX
    for word in _enclosed(words):
        if form and PARAMETER in form[-1]:
            bare = word.rstrip(CLOSE)
            if form[-1].endswith(PARAMETER) and bare.lower() in _UNITS:
                # A duration in seconds and one in minutes are values of one parameter.
                form[-1] = _listed(form[-1], PARAMETER + word[len(bare) :])
                unit = " " + bare if shown[-1].endswith(PARAMETER) else ""
                shown[-1] += unit + form[-1][form[-1].rindex(PARAMETER) + len(PARAMETER) :]
                continue
            if form[-1].rstrip(",;|").endswith(PARAMETER) and _VALUE.fullmatch(word):
                form[-1] = _listed(form[-1], word)
                if shown[-1].endswith((PARAMETER, ",", ";", "|")):
                    shown[-1] = form[-1]
                continue
        if form and "." in word and is_dotted(word.strip(OPEN + CLOSE)):
            word = PARAMETER
        form.append(word)
        shown.append(word)
        since = 0 if PARAMETER in word else since + 1
        if since < _PERIOD_MAX:  # without a value in it nothing counts as a record
            _once(form, shown)
    return tuple(form), tuple(shown)


def _listed(last: str, word: str) -> str:
    """The one word that stands for a list of values; brackets are kept where they enclose it."""
    stem = last[: last.rindex(PARAMETER) + len(PARAMETER)]
    opened = stem[: -len(PARAMETER)]
    tail = word[word.rindex(PARAMETER) + len(PARAMETER) :]
    return stem + "".join(c for c in tail if OPENER.get(c, c) in opened or c in ",;:.!?")


def _enclosed(words: list[str]) -> list[str]:
    """Make one value of what stands between quotes after `name=`, or in a value's brackets."""
    if not any(PARAMETER in word[1:] for word in words):
        return words
    kept: list[str] = []
    until = 0
    for at, word in enumerate(words):
        if at < until:
            continue
        named = word != PARAMETER and PARAMETER in word
        opened = _ENCLOSING.fullmatch(word) if named else None
        if opened:
            stem = opened[1] or opened[2]
            closer = _CLOSER[stem[-1]] if opened[1] else word[len(stem)]
            for end in range(at + 1, min(at + _ENCLOSED_WORDS_MAX, len(words))):
                if closer in words[end].replace(PARAMETER, ""):
                    rest = words[end][words[end].rindex(closer) + bool(opened[2]) :]
                    word = stem + PARAMETER + rest
                    until = end + 1
                    break
        kept.append(word)
    return kept


def _once(form: list[str], shown: list[str]) -> None:
    """A run of records of the same form counts as one record."""
    for period in range(1, min(_PERIOD_MAX, len(form) // 2) + 1):
        if form[-1] != form[-1 - period]:
            continue
        tail = form[-period:]
        if tail == form[-2 * period : -period] and any(PARAMETER in word for word in tail):
            del form[-period:], shown[-period:]
            return
