"""What a reader cannot see is shown as an escape: nothing turns the text around it, or hides in it (A7)."""

from __future__ import annotations

import re

from markupsafe import Markup
from markupsafe import escape as escape_html

# Controls but tab and line feed; marks of direction; zero-width ones (but those that join letters and
# emoji); line and paragraph separators; invisible operators, annotations and tags.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)


def plain(text: str) -> str:
    r"""Text of strangers for a page, before it is escaped as HTML.

    Examples
    --------
    >>> plain("paid \u202eesrever\x1b[31m"), plain("zwei\nZeilen")
    ('paid \\u202eesrever\\x1b[31m', 'zwei\nZeilen')
    """
    if text.isprintable():
        return text
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escape(text: str) -> Markup:
    """Plain, and escaped as HTML."""
    return escape_html(plain(text))


def shown(value: object) -> object:
    """Any value that a template shows; what is markup already stays."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
