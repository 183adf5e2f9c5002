"""A sentence for a person, kept as template and parameters so that it can be said in any language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model.labels import LABEL_BYTES_MAX, Labels


class _Values(dict[str, str]):
    """Labels keep no empty value: a parameter that is not there was empty."""

    def __missing__(self, _name: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was decided: an English template and what fills it.

    The template itself is the message id of the translation catalogues (gettext).
    Make one with `because`; numbers are formatted by the caller, so that the words
    are stable and the stored form is plain text.
    """

    template: str
    params: Labels = Labels()

    def text(self, translate: Callable[[str], str] = str) -> str:
        """Say it, in English or through `translate`."""
        try:
            return translate(self.template).format_map(_Values(self.params))
        except (KeyError, IndexError, ValueError, AttributeError):
            return self.template


def because(template: str, **params: object) -> Reason:
    """Make a `Reason`; what is longer than a label may be is cut, for a sentence must not end who says it.

    Examples
    --------
    >>> len(because("{title}", title="x" * 60_000).text())
    4096
    >>> because("{service} failed {count} calls", service="payment", count=3).text()
    'payment failed 3 calls'
    >>> because('no match for "{value}"', value="").text()
    'no match for ""'
    """
    said = {name: str(value)[:LABEL_BYTES_MAX] for name, value in params.items()}
    return Reason(template, Labels.of(said))


def gettext(template: str) -> str:
    """Mark a sentence that is kept in a table and said later, for the translators; it comes back as it is.

    `console.messages` finds message ids by the functions they are given to.
    """
    return template
