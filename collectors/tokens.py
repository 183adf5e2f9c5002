"""Words of a log message: which are values, and which belong to the sentence."""

from __future__ import annotations

import re
from functools import lru_cache

PARAMETER = "<*>"

OPEN = "([{<\"'`"
CLOSE = ")]}>\"'`,;:.!?"
OPENER = {")": "(", "]": "[", "}": "{", ">": "<"}
_NUMBER = re.compile(r"[\d.:,/\-]*\d")
_DIGIT = re.compile(r"\d")
_BRACKET = re.compile(r"[({\[]")
_PAIR = re.compile(r"([A-Za-z_][\w.,\-]*[=:])(.+)", re.DOTALL)
_IDENTIFIER = re.compile(r"[\w.\-]*[_./@:#$\\\-][\w./@:#$\\\-]*|[a-z]+[A-Z]\w*|\W*<\*>.*")
_NUMBERED = re.compile(r"([A-Za-z_]{1,24})\d{1,4}=([^=]+)")
_LEADER = re.compile(r"([^\d.][^\d]*?)\.{3,}(?=[^.])(.+)", re.DOTALL)
_CALL = re.compile(r"([A-Za-z_][\w.]*)([({\[])([^)}\]]+)([)}\]]?)")
_DOTTED = re.compile(r"[A-Za-z_][\w\-]*(?:\.[\w\-$]+){2,}")
_HEX = frozenset("abcdefABCDEF")
_HEX_MIN = 8  # no English word of eight letters has only these
_WORD_MAX = 256
_ID_MAX = 12
_CALENDAR = frozenset(
    "Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr Jun Jul Aug Sep Oct Nov Dec".split()
)
_CONSTANTS = frozenset(("true", "false", "True", "False", "null", "None", "nil"))
_INTRODUCERS = frozenset(
    "user username host hostname service queue topic table pod node container client account for from to by"
    " called named".split()
)


class Masks(dict[str, str]):
    """Word to masked word, worked out once; starts anew when it holds `words_max`.

    Examples
    --------
    >>> masks = Masks(100)
    >>> [masks[word] for word in ("took", "45ms,", "uid=0)", "/var/log/syslog", "user@host")]
    ['took', '<*>,', 'uid=<*>)', '<*>', '<*>']
    """

    def __init__(self, words_max: int) -> None:
        super().__init__()
        self.words_max = words_max

    def __missing__(self, word: str) -> str:
        value = word.isalnum() and _quick(word)
        masked = PARAMETER if value and len(word) <= _WORD_MAX else mask(word)
        # A long value is an identifier, not to be met again.
        if len(word) <= (_ID_MAX if masked == PARAMETER else _WORD_MAX):
            if len(self) >= self.words_max:
                self.clear()
            self[word] = masked
        return masked


def mask(word: str) -> str:
    """Replace the part of a word that is a value.

    Values are: anything with a digit; what follows `name=`; paths, addresses and mail addresses;
    eight hexadecimal letters; words of more than 256 characters. Brackets, punctuation and names
    around a value are kept.

    Examples
    --------
    >>> mask("[10.0.0.1:8080]"), mask("status:500"), mask("user=ann;"), mask("ready.")
    ('[<*>]', 'status:<*>', 'user=<*>;', 'ready.')
    >>> mask("openFile(3)"), mask("r24=0xfe"), mask("retries.......0"), mask("org.apache.http")
    ('openFile(<*>)', 'r<*>=<*>', 'retries...<*>', 'org.apache.http')
    """
    core = word.lstrip(OPEN)
    front = word[: len(word) - len(core)]
    bare = core.rstrip(CLOSE)
    # The same as below in few steps: most words that were not seen before are numbers and identifiers.
    if len(word) <= _WORD_MAX and bare.isascii():
        name, sign, value = bare.partition("=" if "=" in bare else ":")
        if _quick(value) and name.isalpha() and value.isalnum():
            return f"{front}{name}{sign}{PARAMETER}{core[len(bare) :]}"
        if not sign and _quick(bare) and bare.isalnum():
            back = core[len(bare) :]
            if front and bare[0].isdigit() and not back.startswith(">"):
                front = front.rstrip("<")
            return f"{front}{PARAMETER}{back}"
    if len(word) > _WORD_MAX or _NUMBER.fullmatch(word):
        return PARAMETER
    bare = _without_close(core)
    back = core[len(bare) :]
    if not bare:
        # Empty brackets are where a value can stand.
        return word[0] + PARAMETER + word[1:] if word in ("()", "[]", "{}", "<>", '""') else word
    front = front.rstrip("<") if bare[0].isdigit() and not back.startswith(">") else front
    if not bare.isalnum() and (compound := _compound(bare, back)):
        return front + compound
    return f"{front}{PARAMETER}{back}" if _is_value(bare) and not is_dotted(bare) else word


def _quick(word: str) -> bool:
    """Whether a word of letters and digits has a digit in it."""
    return word.isascii() and not word.isalpha()


def _compound(bare: str, back: str) -> str:
    """A word that holds a name and its value, the value masked; "" where it is none."""
    if "=" in bare or ":" in bare:
        pair = _PAIR.fullmatch(bare)
        if pair and not pair[2].startswith("//") and not _DIGIT.search(pair[1]):
            name, value = pair[1], pair[2]
            # "db.example.org:5432" is an address, "status:500" a name and its value.
            if name[-1] == "=" or ("." not in name and _is_value(value)):
                return name + _paired(value, back)
        if numbered := _NUMBERED.fullmatch(bare):
            # Registers and columns: r24=…, c3=….
            return f"{numbered[1]}{PARAMETER}=" + _paired(numbered[2], back)
    if "..." in bare and (leader := _LEADER.fullmatch(bare)) and _is_value(leader[2]):
        # What a row of dots leads to, as in a table.
        return f"{leader[1]}...{PARAMETER}{back}"
    called = _CALL.fullmatch(bare) if _BRACKET.search(bare) else None
    if called and not _DIGIT.search(called[1]) and ("=" in called[3] or _is_value(called[3])):
        # Without its closing bracket the value goes on in the next words.
        return f"{called[1]}{called[2]}{PARAMETER}{called[4]}{back}"
    return ""


def _without_close(core: str) -> str:
    """Without the punctuation at the end, save brackets that were opened within."""
    end = len(core)
    while end and core[end - 1] in CLOSE:
        opener = OPENER.get(core[end - 1])
        if opener and core.count(opener, 0, end) >= core.count(core[end - 1], 0, end):
            break
        end -= 1
    return core[:end]


def _paired(value: str, back: str) -> str:
    """The value of a pair: with its quotes, or with the one that further words will close."""
    quote = value[0]
    if quote not in "\"'" or value.endswith(quote):
        return PARAMETER + back
    return PARAMETER + back[1:] if back.startswith(quote) else quote + PARAMETER + back


def _is_value(text: str) -> bool:
    if _DIGIT.search(text) or text in _CALENDAR or text in _CONSTANTS or text == PARAMETER:
        return True
    if "@" in text or "://" in text or text.count("\\") >= 2:
        return True
    if text[0] == "/" and text.count("/") >= 2:
        return True
    return is_dotted(text) or (len(text) >= _HEX_MIN and _HEX.issuperset(text))


def is_dotted(word: str) -> bool:
    """Whether a word is a host, a package or a class: a value, save where a message begins with it.

    Examples
    --------
    >>> [is_dotted(word) for word in ("db.example.org", "java.io.IOException", "tick.time", "v1.2.3")]
    [True, False, False, True]
    """
    if word.count(".") < 2 or word.endswith(("Exception", "Error")):
        # Which exception it was is what the message says.
        return False
    return _DOTTED.fullmatch(word) is not None


@lru_cache(10_000)
def looks_identifier(word: str) -> bool:
    """Whether a word looks like a name somebody gave, rather than a word of a sentence.

    Examples
    --------
    >>> [looks_identifier(word) for word in ("cart-db", "fetchOrder", "org.apache", "failed", "down,")]
    [True, True, True, False, False]
    """
    return _IDENTIFIER.fullmatch(word.strip(OPEN + CLOSE)) is not None


def introduces(word: str) -> bool:
    """Whether what follows this word is likely a name: "for user ann".

    Examples
    --------
    >>> introduces("user"), introduces("connection")
    (True, False)
    """
    return word.strip(OPEN + CLOSE) in _INTRODUCERS
