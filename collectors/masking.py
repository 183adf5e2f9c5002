"""Secrets and personal data are masked in log lines, by named rules, before anything is kept.

Each rule is looked at only where a plain substring says that it may apply, and its expression is run by
RE2, which takes time in proportion to the line whatever the line holds.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import re2

MASK = "***"

_Match = Any  # re2 has no types


@dataclass(frozen=True, slots=True)
class _Rule:
    """Where it may apply (any of these is in the lower-case line), what to find, what to write."""

    hints: tuple[str, ...]
    pattern: Any
    write: Callable[[_Match], str]


def _group(match: _Match) -> str:
    return f"{match[1]}{MASK}"


def _whole(match: _Match) -> str:
    return MASK


def _card(match: _Match) -> str:
    text = str(match[0])
    return MASK if luhn([int(char) for char in text if char.isdigit()]) else text


def _ipv6(match: _Match) -> str:
    text = str(match[0])
    around = match.string[max(0, match.start() - 1) : match.start()]
    around += match.string[match.end() : match.end() + 1]
    # A part of a longer word is none, nor is C++'s a::b.
    if any(c.isalnum() or c in "_:" for c in around) or not any(map(str.isdigit, text)):
        return text
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return text
    return MASK


_DIGITS = tuple("0123456789")
_RULES = {
    # password=…, "client_secret": "…", --token …, https://user:password@host
    "secrets": _Rule(
        ("pass", "pwd", "secret", "token", "key", "credential"),
        re2.compile(
            r"(?i)("
            r"(?:pass(?:word|wd|phrase|code)|(?:\b|_)(?:pass|pwd)|secret|token|credentials?"
            r"|(?:api|access|private|secret|account|encryption|signing)[_\-]?key)(?:\\?[\"'])?"
            r"(?:[ ]?[=:][ ]?|[ ]=>[ ])(?:(?:bearer|basic)[ ])?(?:\\?[\"'])?)"
            r"[^\s\"',;&|)\]}\\]+"
        ),
        _group,
    ),
    # Authorization: Bearer …, JSON Web Tokens, keys whose makers gave them a prefix
    "tokens": _Rule(
        (
            "bearer",
            "basic",
            "eyj",
            "gh",
            "glpat-",
            "xox",
            "akia",
            "asia",
            "sk-",
            "sk_",
            "aiza",
            "hvs.",
        ),
        re2.compile(
            r"((?i:\b(?:bearer|basic)[ ]+))[A-Za-z0-9._~+/=\-]{8,}"
            r"|\beyJ[A-Za-z0-9_\-]{4,}\.[A-Za-z0-9_\-]{4,}(?:\.[A-Za-z0-9_\-]*)?"
            r"|\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_\-]{16,}"
            r"|xox[abeprs]-[A-Za-z0-9\-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}|sk[-_][A-Za-z0-9_\-]{20,}"
            r"|AIza[A-Za-z0-9_\-]{30,}|hvs\.[A-Za-z0-9_\-]{20,})"
        ),
        lambda match: (match[1] or "") + MASK,
    ),
    "email": _Rule(
        ("@",),
        re2.compile(r"[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+"),
        _whole,
    ),
    "ipv4": _Rule(
        (".",),
        re2.compile(r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b"),
        _whole,
    ),
    "ipv6": _Rule(
        ("::", ":"),
        re2.compile(r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}"),
        _ipv6,
    ),
    # 13 to 19 digits, in groups or not, whose check digit is right
    "card": _Rule(_DIGITS, re2.compile(r"\b\d(?:[ \-]?\d){12,18}\b"), _card),
    # International, or in the forms (555) 123-4567 and 555-123-4567
    "phone": _Rule(
        ("+", "(", "-"),
        re2.compile(
            r"\+\d{1,3}(?:[ .\-]?\(?\d{1,4}\)?){2,5}\b|\(\d{3}\)[ ]?\d{3}-\d{4}\b|\b\d{3}-\d{3}-\d{4}\b"
        ),
        _whole,
    ),
}
# The address with a password in it is a secret, too, but written differently.
_USERINFO = re2.compile(r"(://[^/\s:@]*:)[^/\s@]+@")

RULES = tuple(_RULES)
DEFAULT = ("secrets", "tokens")


class Masking:
    """Applies some of the rules, in their own order.

    Parameters
    ----------
    names : iterable of str
        Of `RULES`.

    Raises
    ------
    ValueError
        If a name is unknown.

    Examples
    --------
    >>> masking = Masking(RULES)
    >>> masking.mask("login ann@example.org from 10.0.0.1, password=hunter2, card 4111 1111 1111 1111")
    'login *** from ***, password=***, card ***'
    >>> masking.mask("order 4111 1111 1111 1112 took 35 ms"), masking.masked
    ('order 4111 1111 1111 1112 took 35 ms', 1)
    """

    def __init__(self, names: Iterable[str] = DEFAULT) -> None:
        wanted = set(names)
        if unknown := sorted(wanted - set(RULES)):
            raise ValueError(f"mask: unknown rule {unknown[0]!r}; there are {', '.join(RULES)}")
        self.masked = 0
        self._rules = [rule for name, rule in _RULES.items() if name in wanted]
        self._userinfo = "secrets" in wanted
        self._patterns = [rule.pattern for rule in self._rules]
        self._patterns += [_USERINFO] * self._userinfo

    def mask_all(self, texts: Sequence[str]) -> list[str]:
        """Each text as `mask` writes it. Lines that no rule fits, which are most, are passed over together.

        No expression can match over the end of a line, so what is found in all of them is found in one of them.
        Texts with line feeds in them are taken one by one.
        """
        found = list(texts)
        try:
            block = "\n".join(found).encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            return [self.mask(text) for text in found]
        if block.count(b"\n") >= len(found):
            return [self.mask(text) for text in found]
        for number in sorted({n for pattern in self._patterns for n in _lines(pattern, block)}):
            found[number] = self.mask(found[number])
        return found

    def mask(self, text: str) -> str:
        """The text with `***` in place of what the rules name."""
        low = text.lower()
        masked = text
        for rule in self._rules:
            for hint in rule.hints:
                if hint in low:
                    masked = rule.pattern.sub(rule.write, masked)
                    break
        if self._userinfo and "://" in low and "@" in low:
            masked = _USERINFO.sub(lambda match: f"{match[1]}{MASK}@", masked)
        if masked != text:
            self.masked += 1
        return str(masked)


def _lines(pattern: Any, block: bytes) -> Iterator[int]:
    """The numbers of the lines in which an expression matches."""
    number = at = 0
    while (match := pattern.search(block, at)) is not None:
        number += block.count(b"\n", at, match.start())
        yield number
        at = block.find(b"\n", match.start())
        if at < 0:
            return


def luhn(digits: list[int]) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812), and not all are equal.

    Examples
    --------
    >>> luhn([4, 5, 3, 9, 1, 4, 8, 8, 0, 3, 4, 3, 6, 4, 6, 7]), luhn([1, 2, 3]), luhn([0, 0, 0])
    (True, False, False)
    """
    doubled = [n if at % 2 == 0 else n * 2 - 9 * (n > 4) for at, n in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0 and len(set(digits)) > 1
