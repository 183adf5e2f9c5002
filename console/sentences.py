"""A finished English sentence, said again in another language.

Errors are exceptions, and their text is English with its values in it: whoever raises one knows no
language, and libraries join texts of ours to their own. So a sentence is recognised by the
template it was made of (`must be at least {0}`), and said by the catalogue's translation of it.
`console.raised` finds the templates in the code; what is not recognised stays English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from string import Formatter

from console.i18n import catalogue
from model.reason import Reason

DEPTH_MAX = 4
LETTERS_MIN = 4
"""Fewer letters would recognise anything."""
PIECES = {"must be {0}, got {1}": 0, "{0} must be {1}, got {2}": 1}
"""Messages of which a value is a piece of our own words: where it is not known, half a sentence would be in each language."""
TEXT_MAX = 2_000
"""Longer texts are no sentences of ours."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    """One message with placeholders: how it is recognised, and what it is said by."""

    hint: str  # its longest literal part: most sentences are passed over by it alone
    literal: int  # how many characters of it are literal: the more, the closer the fit
    pattern: re.Pattern[str]
    said: str
    piece: int | None  # which value must be known, too

    def values(self, text: str) -> tuple[str, list[str]] | None:
        """The key the sentence is about ("" where none is named) and its values, None if it is another one."""
        match = self.pattern.fullmatch(text) if self.hint in text else None
        if match is None:
            return None
        values = list(match.groups())
        key = values.pop(0) if "key" in match.groupdict() else ""
        return key or "", values


@cache
def _sentences(language: str) -> tuple[_Sentence, ...]:
    """Every message that holds a placeholder, the closest fits first."""
    found: list[_Sentence] = []
    for message, said in catalogue(language).items():
        try:
            parts = list(Formatter().parse(message))
        except ValueError:  # a brace that stands for itself
            continue
        names = tuple(name for _, name, _, _ in parts if name is not None)
        literals = [text for text, *_ in parts]
        if not any(name is not None and name.isdigit() for name in names):
            continue  # a reason (`because`) is never recognised: its template is at hand
        if sum(map(str.isalpha, "".join(literals))) < LETTERS_MIN:
            continue
        pattern = "".join(
            re.escape(text) + ("" if name is None else "(.*?)") for text, name, _, _ in parts
        )
        if message.startswith("must "):  # "must be …" stands behind the name of a key, too
            pattern = r"(?:(?P<key>[\w.]+) )?" + pattern
        literal = sum(map(len, literals))
        found.append(
            _Sentence(
                max(literals, key=len),
                literal,
                re.compile(pattern, re.DOTALL),
                said,
                PIECES.get(message),
            )
        )
    return tuple(sorted(found, key=lambda one: -one.literal))


def retell(text: str, language: str, depth: int = 0) -> str:
    """The text in the language, line by line, with the values that were in it.

    Examples
    --------
    >>> retell("domains must lie between 1 and 1000", "zh_CN")
    'domains 必须在 1 到 1000 之间'
    >>> retell('no service "cart" in catalogue.yaml', "en")
    'no service "cart" in catalogue.yaml'
    """
    if language == "en" or len(text) > TEXT_MAX:
        return text
    if "\n" in text:
        return "\n".join(retell(line, language, depth) for line in text.split("\n"))
    known = catalogue(language).get(text)
    if known is not None and (depth == 0 or " " in text):
        return known
    for one in _sentences(language):
        if found := one.values(text):
            key, values = found
            told = [_part(value, language, depth) for value in values]
            if (
                one.piece is not None
                and " " in told[one.piece]
                and told[one.piece] == values[one.piece]
            ):
                continue
            said = one.said.format(*told)
            return f"{key} {said}" if key else said
    return _pieces(text, language, depth)


def _part(value: str, language: str, depth: int) -> str:
    """What stood in a sentence may be one itself; a single word is a name of somebody's."""
    return retell(value, language, depth + 1) if depth < DEPTH_MAX and " " in value else value


def _pieces(text: str, language: str, depth: int) -> str:
    """`where: what; mend` of which the whole is not known: perhaps its pieces are."""
    for between in ("; ", ": "):
        head, found, rest = text.partition(between)
        if found and depth < DEPTH_MAX and " " in rest:
            return f"{_part(head, language, depth)}{found}{_part(rest, language, depth)}"
    return text


def tell(reason: Reason, language: str) -> str:
    """A reason in the language, with the errors it quotes."""
    if language == "en":
        return reason.text()
    said = catalogue(language)
    told = {
        name: retell(value, language, 1) if " " in value else value
        for name, value in reason.params.items()
    }
    return Reason(reason.template, reason.params.of(told)).text(lambda t: said.get(t, t))
