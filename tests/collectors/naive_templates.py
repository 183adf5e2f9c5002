"""The naive twin of `collectors/templates.py`: each form with a word left out is made, and looked up as it is.

Source
------
A parse-tree-free variant of the ideas of Drain (He et al. 2017) and Brain (Yu et al. 2023): words
are masked by what they look like (`tokens.py`), lists, units and quotes are evened out (`forms.py`), and
a position of such a form becomes a parameter once enough distinct values were seen there while all the rest stayed the same. Only forms
never seen before cost more than a few dictionary lookups. Numbers are stable: when two templates
turn out to be one, the lower number stands for both (union-find).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from collectors.base import Counters
from collectors.forms import Form, shape
from collectors.settings import TemplateSettings
from collectors.snapshot import seal, unseal
from collectors.tokens import PARAMETER, Masks, introduces, looks_identifier

OVERFLOW = 0
"""Number of the template that stands for lines beyond `templates_max`."""

_KEY_CHARS_MAX = 1024
_PARAMETER: Form = (PARAMETER,)
_SHAPES_MAX = 20_000
_DIGITLESS = bytes.maketrans(b"123456789", b"000000000")


class TemplateMiner:
    """Gives messages their template numbers.

    Parameters
    ----------
    settings : TemplateSettings

    Examples
    --------
    >>> miner = TemplateMiner()
    >>> miner.mine(["took 3 ms", "took 45 ms", "cart is empty"])
    [1, 1, 2]
    >>> miner.text(1)
    'took <*> ms'
    """

    def __init__(self, settings: TemplateSettings | None = None) -> None:
        self.settings = settings or TemplateSettings()
        told = self.settings
        self._least = min(
            *(told.identifiers_min, told.names_min, told.words_min, told.first_words_min)
        )
        self.overflowed = 0
        self.lines = 0
        self._masks = Masks(self.settings.keys_max)
        self._numbers: dict[str, int] = {}  # masked line to number: the fast path
        self._shapes: dict[bytes, int] = {}  # line without its digits to number: faster still
        self._forms: dict[Form, int] = {}  # clustered form to number
        self._contexts: dict[
            tuple[int, Form], dict[str, int]
        ] = {}  # a hole to the values seen in it
        self._open: set[Form] = set()  # forms of which a position was found to be a parameter
        self._shown: list[Form] = [(PARAMETER,)]
        self._parents: list[int] = [0]
        self._merged: dict[int, int] = {}  # not asked for yet

    def __len__(self) -> int:
        """Numbers given, merged ones included."""
        return len(self._shown) - 1

    def mine(self, messages: Sequence[str]) -> list[int]:
        """The template number of each message; learns from them in their order."""
        numbers, parents = self._shapes, self._parents
        self.lines += len(messages)
        found: list[int] = []
        for message, bare in zip(messages, _digitless(messages), strict=True):
            number = numbers.get(bare)
            if number is None:
                number = self._mine(message, bare)
            found.append(number if parents[number] == number else self._root(number))
        return found

    def _mine(self, message: str, bare: bytes) -> int:
        masks = self._masks
        key = " ".join([masks[word] for word in message.split()])
        number = self._numbers.get(key)
        if number is None:
            number = self._learn(key)
        coded = key.encode("utf-8", "surrogatepass")
        digits = len(coded) - len(coded.translate(None, b"0123456789"))
        if not digits and len(bare) <= _KEY_CHARS_MAX and key in self._numbers:
            if len(self._shapes) >= _SHAPES_MAX:
                self._shapes.clear()
            self._shapes[bare] = number
        return number

    def text(self, number: int) -> str:
        """The template of a number, parameters written `<*>`."""
        return " ".join(self._shown[self._root(number)])

    def current(self, number: int) -> int:
        """The number that stands for this one now: itself, or the lower one it was merged into."""
        return self._root(number)

    def drain_merged(self) -> dict[int, int]:
        """Numbers that were merged since the last call, each to the one that stands for it now.

        Examples
        --------
        >>> miner = TemplateMiner()
        >>> miner.mine([f"queue of user {name} is full" for name in ("ann", "bob", "eve", "joe")])[-1]
        1
        >>> miner.drain_merged(), miner.drain_merged()
        ({2: 1, 3: 1}, {})
        """
        merged, self._merged = self._merged, {}
        return {number: self._root(number) for number in merged}

    def _root(self, number: int) -> int:
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def _learn(self, line: str) -> int:
        words = line.split(" ")
        if len(words) > self.settings.tokens_max:
            words = [*words[: self.settings.tokens_max], PARAMETER]
        form, shown = shape(words)
        general = self._generalise(form)
        number = self._forms.get(general)
        if number is None:
            number = self._new(general, shown)
        if number == OVERFLOW or len(line) > _KEY_CHARS_MAX:
            return number
        if len(self._numbers) >= self.settings.keys_max:
            self._numbers.clear()
            self._shapes.clear()
        self._numbers[line] = number
        return number

    def _generalise(self, form: Form) -> Form:
        """Put parameters where this form's contexts already have one."""
        known = self._open
        for position, word in enumerate(form):
            if word != PARAMETER and (hole := _hole(form, position)) in known:
                return self._generalise(hole)
        return form

    def _new(self, form: Form, shown: Form) -> int:
        if len(self._shown) > self.settings.templates_max:
            self.overflowed += 1
            return OVERFLOW
        number = len(self._shown)
        # Where a word turned out to be a parameter it is shown as one.
        pairs = zip(form, shown, strict=True)
        self._shown.append(tuple(b if PARAMETER in a and PARAMETER in b else a for a, b in pairs))
        self._parents.append(number)
        self._forms[form] = number
        self._widen(form, number)
        return self._root(number)

    def _widen(self, form: Form, number: int) -> None:
        """Note the form in its contexts; where one has enough distinct values, merge them."""
        if len(self._contexts) >= self.settings.contexts_max:
            # The older half has waited long enough for more values.
            recent = list(self._contexts.items())[len(self._contexts) // 2 :]
            self._contexts = dict(recent)
        opened = form in self._open
        fixed = [_lettered(word) for word in form]
        fixed_count = sum(fixed)
        for position, word in enumerate(form):
            # A masked value is one of the values of its position, until that is found a parameter.
            # Without a word with a letter beside the parameter it would be no template.
            if (opened and word == PARAMETER) or fixed_count - fixed[position] < 1:
                continue
            hole = _hole(form, position)
            values = self._contexts.setdefault((position, hole), {})
            values[word] = number
            count = len(values) + (PARAMETER in values)
            if count >= self._least and count >= self._needed(form, position, values):
                self._merge(position, hole, values)
                return

    def _needed(self, form: Form, position: int, values: dict[str, int]) -> int:
        settings = self.settings
        if not position:
            # What a message begins with says which message it is, unless values are seen there, too.
            bearing = sum(PARAMETER in word for word in values)
            known = PARAMETER in values and bearing >= settings.names_min
            return bearing if known else settings.first_words_min
        if sum(looks_identifier(word) for word in values) >= settings.identifiers_min:
            return settings.identifiers_min
        return settings.names_min if introduces(form[position - 1]) else settings.words_min

    def _merge(self, position: int, hole: Form, values: dict[str, int]) -> None:
        """The values seen in a hole are values of a parameter: their templates become one."""
        known = self._forms.get(hole)
        numbers = sorted({self._root(n) for n in (*values.values(), *([known] if known else []))})
        lowest = numbers[0]
        for number in numbers:
            self._parents[number] = lowest
            if number != lowest:
                self._merged[number] = lowest
        shown = self._shown[lowest]
        self._shown[lowest] = (*shown[:position], PARAMETER, *shown[position + 1 :])
        for word in values:
            form = (*hole[:position], word, *hole[position + 1 :])
            self._forms.pop(form, None)
            self._forget_contexts(form, position)
        del self._contexts[(position, hole)]
        self._forms[hole] = lowest
        self._open.add(hole)
        self._widen(hole, lowest)

    def _forget_contexts(self, form: Form, position: int) -> None:
        # The merged forms no longer count as values elsewhere: only the template they became does.
        for other, word in enumerate(form):
            context = (other, _hole(form, other))
            if other != position and context in self._contexts:
                self._contexts[context].pop(word, None)
                if not self._contexts[context]:
                    del self._contexts[context]

    def counters(self) -> Counters:
        """Running totals."""
        return {
            "tocsin_log_templates": len(self),
            "tocsin_log_templates_overflowed_total": self.overflowed,
        }

    def save(self) -> bytes:
        """A snapshot: one line with version and checksum, one with JSON."""
        return seal(
            "templates",
            1,
            {
                "texts": [list(shown) for shown in self._shown],
                "parents": self._parents,
                "forms": [[list(form), number] for form, number in self._forms.items()],
                "contexts": [[at, list(hole), seen] for (at, hole), seen in self._contexts.items()],
                "open": sorted(map(list, self._open)),
                "numbers": self._numbers,
                "lines": self.lines,
                "overflowed": self.overflowed,
                "merged": list(self._merged.items()),
            },
        )

    def load(self, data: bytes) -> None:
        """Take over a snapshot made by `save`.

        Raises
        ------
        SnapshotError
            If it is damaged or of another version; what was here stays.
        """
        saved = unseal("templates", 1, data)
        self._shown = [
            tuple(words.split(" ") if isinstance(words, str) else words) for words in saved["texts"]
        ]
        self._parents = list(saved["parents"])
        self._forms = {tuple(form): number for form, number in saved["forms"]}
        self._contexts = {(at, tuple(hole)): dict(seen) for at, hole, seen in saved["contexts"]}
        self._open = {tuple(form) for form in saved["open"]}
        self._numbers = dict(saved["numbers"])
        self._shapes.clear()
        self.lines, self.overflowed = saved["lines"], saved["overflowed"]
        self._merged = dict(saved.get("merged", ()))


def _digitless(messages: Sequence[str]) -> list[bytes]:
    """The messages with every digit a 0. Which digit it is does not matter to what is masked (`tokens.py`)."""
    block = "\n".join(messages).encode("utf-8", "surrogatepass").translate(_DIGITLESS)
    shapes = block.split(b"\n")
    if len(shapes) == len(messages):
        return shapes
    return [m.encode("utf-8", "surrogatepass").translate(_DIGITLESS) for m in messages]


def _hole(form: Form, position: int) -> Form:
    return form[:position] + _PARAMETER + form[position + 1 :]


@lru_cache(20_000)
def _lettered(word: str) -> bool:
    return any(map(str.isalpha, word.replace(PARAMETER, "")))
