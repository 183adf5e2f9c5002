"""Languages: gettext catalogues read at run time, numbers and durations as the language writes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from babel import Locale
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

LANGUAGES = ("en", "zh_CN")
LANGUAGE_NAMES = {"en": "English", "zh_CN": "简体中文"}
LOCALES = Path(__file__).parent / "locales"

Translate = Callable[[str], str]


@cache
def catalogue(language: str) -> dict[str, str]:
    """Message ids with their translation; empty for English, whose ids are the text."""
    path = LOCALES / language / "LC_MESSAGES" / "tocsin.po"
    if language not in LANGUAGES or not path.exists():
        return {}
    with path.open("rb") as file:
        messages = read_po(file, locale=language)
    return {
        str(message.id): str(message.string)
        for message in messages
        if message.id and message.string and not message.fuzzy
    }


def translator(language: str) -> Translate:
    """A function that says a message in the language; unknown messages stay English.

    Examples
    --------
    >>> translator("zh_CN")("Incidents"), translator("en")("Incidents"), translator("xx")("Incidents")
    ('事件', 'Incidents', 'Incidents')
    """
    messages = catalogue(language)
    return lambda text: messages.get(text, text)


def normalise(language: str) -> str:
    """A language we speak for any tag, or "".

    Examples
    --------
    >>> normalise("zh-Hans-CN"), normalise("en-GB"), normalise("de")
    ('zh_CN', 'en', '')
    """
    head = language.strip().replace("_", "-").split("-")[0].lower()
    return {"zh": "zh_CN", "en": "en"}.get(head, "")


def choose(*wishes: str, accept: str = "") -> str:
    """The first wish we can fulfil (user, cookie, setting), then the browser's Accept-Language.

    Examples
    --------
    >>> choose("", "zh_CN"), choose("", accept="de;q=0.9, zh;q=0.8, en;q=0.5"), choose("", accept="")
    ('zh_CN', 'zh_CN', 'en')
    """
    for wish in wishes:
        if found := normalise(wish):
            return found
    weighted: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept.split(",")[:20]):
        tag, _, weight = part.partition(";q=")
        try:
            weighted.append((-float(weight or 1), place, normalise(tag)))
        except ValueError:
            continue
    return next((language for _, _, language in sorted(weighted) if language), "en")


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(language)


_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def duration(milliseconds: float, language: str) -> str:
    """A duration in its two largest units.

    Examples
    --------
    >>> duration(0, "en"), duration(95_000, "en"), duration(5_400_000, "zh_CN")
    ('0s', '1m 35s', '1小时30分钟')
    """
    if milliseconds < 0:
        return "−" + duration(-milliseconds, language)
    rest, parts = round(milliseconds / 1000), list[str]()
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count or (unit == "second" and not parts):
            parts.append(_unit(count, f"duration-{unit}", language))
        if len(parts) == 2:
            break
    return ("" if language == "zh_CN" else " ").join(parts)


def _unit(count: int, unit: str, language: str) -> str:
    if language == "zh_CN":  # CLDR has no narrow form for Chinese
        return format_unit(count, unit, "short", locale=_locale(language)).replace(" ", "")
    return format_unit(count, unit, "narrow", locale=_locale(language))


def number(value: float, language: str) -> str:
    """A number with the language's separators, three significant decimals at most.

    Examples
    --------
    >>> number(1234567, "en"), number(0.12345, "en")
    ('1,234,567', '0.123')
    """
    return format_decimal(value, format="#,##0.###", locale=_locale(language))


def percent(ratio: float, language: str) -> str:
    """A ratio as a percentage.

    Examples
    --------
    >>> percent(0.99947, "en")
    '99.95%'
    """
    return format_percent(ratio, format="#,##0.##%", locale=_locale(language))
