"""Text of strangers, made harmless before it travels.

Labels and annotations come from whoever can push an alert. In a ticket, a chat or a mail they must
not mention everybody, hide a link behind a word, start a macro, forge a second line or turn the
reading direction. What is replaced stays readable: look-alikes for characters with a meaning, the
usual escapes for characters that cannot be seen.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from model.labels import Labels
from model.reason import Reason

VALUE_MAX = 300
_LOOKALIKES = str.maketrans(
    {
        "<": "‹",  # HTML, Slack's <!channel> and <url|text>
        ">": "›",
        "@": "＠",  # mentions
        "`": "'",  # Markdown code
        "{": "❴",  # Jira's {macro}, templates
        "}": "❵",
        "[": "［",  # Markdown and Jira links
        "]": "］",
        "|": "¦",  # tables, Slack and Jira links
        "*": "∗",  # emphasis
        "~": "∼",
        "\\": "＼",
    }
)
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: str) -> str:
    r"""Show what cannot be seen as an escape: one line stays one line.

    Examples
    --------
    >>> visible("a\nb\x1b[31m\u2028c")
    'a\\nb\\x1b[31m\\u2028c'
    """
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _HIDDEN else c
        for c in text
    )


def cut(text: str, length: int) -> str:
    """At most `length` characters, an ellipsis where some are missing.

    Examples
    --------
    >>> cut("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def harmless(text: str, length: int = VALUE_MAX) -> str:
    r"""A value for tickets, chats and mails.

    Addresses lose their scheme's colon, so that nothing turns them into a link; only our own links
    are links.

    Examples
    --------
    >>> harmless("<!channel> [pay](http://evil.example) @here")
    '‹!channel› ［pay］(http:⁄⁄evil.example) ＠here'
    >>> harmless("cart_latency 99%")
    'cart_latency 99%'
    """
    shown = visible(cut(text, length)).translate(_LOOKALIKES)
    # Zero-width tricks are gone by `visible`; "www." alone is made a link by most clients too.
    return shown.replace("//", "⁄⁄").replace("www.", "www․")


def say(reason: Reason, translate: Callable[[str], str], *, length: int = VALUE_MAX) -> str:
    """A sentence whose words are ours and whose values are made harmless."""
    clean = Labels(tuple((name, harmless(value, length)) for name, value in reason.params.pairs))
    return Reason(reason.template, clean).text(translate)
