"""Forms with one word left out, told apart by a number, so that all of a form are looked up in one pass over it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import xor

from collectors.forms import Form
from collectors.tokens import PARAMETER

_HOLE: Form = (PARAMETER,)


def hole(form: Form, position: int) -> Form:
    """The form with a parameter in place of a word.

    Examples
    --------
    >>> hole(("cart", "is", "empty"), 2)
    ('cart', 'is', '<*>')
    """
    return form[:position] + _HOLE + form[position + 1 :]


class Sums:
    """The number of a form, and those of its holes: what its words and their positions hash to, in one sum.

    Python's hashes differ from run to run, so that no sender can choose words for two sums to be equal; and whoever
    looks something up by one compares the form.

    Examples
    --------
    >>> of = Sums()
    >>> holes = of.holes(("cart", "is", "empty"))
    >>> holes[2] == of.whole(("cart", "is", "<*>")), holes[2] == of.holes(("cart", "is", "full"))[2]
    (True, True)
    >>> holes[1] in of.holes(("cart", "is", "full"))
    False
    """

    def __init__(self) -> None:
        self._stars: list[int] = []
        self._places: list[int] = []

    def whole(self, form: Form) -> int:
        """Of the form itself."""
        return reduce(xor, map(hash, enumerate(form)), 0)

    def holes(self, form: Form) -> list[int]:
        """Of the forms with a parameter in place of one word, by position."""
        return self._changed(form, self._stars)

    def contexts(self, form: Form) -> list[int]:
        """Of those together with the position, which the same form may be reached from."""
        return self._changed(form, self._places)

    def _changed(self, form: Form, by: list[int]) -> list[int]:
        for position in range(len(self._stars), len(form)):
            self._stars.append(hash((position, PARAMETER)))
            self._places.append(self._stars[-1] ^ hash((position, "")))
        hashes = list(map(hash, enumerate(form)))
        total = reduce(xor, hashes, 0)
        return [total ^ hashed ^ star for hashed, star in zip(hashes, by, strict=False)]


class _Several:
    """Values at a position of forms that are equal to `form` otherwise."""

    __slots__ = ("form", "position", "values")

    def __init__(self, form: Form, position: int, values: dict[str, int]) -> None:
        self.form, self.position, self.values = form, position, values


_One = tuple[Form, int]


class Contexts:
    """The values seen at positions of otherwise equal forms: word to template number.

    At most of them only one is ever seen. Until there is another, the form and its number stand for it, the same
    object at all positions of the form.

    Parameters
    ----------
    most : int
        The older half is forgotten when there are so many.

    Examples
    --------
    >>> seen = Contexts(100)
    >>> for number, form in enumerate((("cart", "is", "empty"), ("cart", "is", "full")), 1):
    ...     seen.note(seen.places(form)[2], 2, (form, number))
    {'empty': 1, 'full': 2}
    >>> list(seen.items())
    [(2, ('cart', 'is', '<*>'), {'empty': 1, 'full': 2})]
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._sums = Sums()
        self._held: dict[int, _One | _Several] = {}

    def __len__(self) -> int:
        return len(self._held)

    def make_room(self) -> None:
        """Where it is full, the older half has waited long enough for more values."""
        if len(self._held) >= self._most:
            self._held = dict(list(self._held.items())[len(self._held) // 2 :])

    def places(self, form: Form) -> list[int]:
        """Where the contexts of a form are found, by position."""
        return self._sums.contexts(form)

    def note(self, place: int, position: int, one: _One) -> dict[str, int] | None:
        """A form of that number has its word at the position; gives the values there where there are several."""
        held = self._held.get(place)
        if held is None:
            self._held[place] = one
            return None
        form, number = one
        if isinstance(held, _Several):
            if not _fit(held.form, form, position):
                return None  # two places with one sum
        else:
            first, number_of_first = held
            if not _fit(first, form, position):
                return None
            if first[position] == form[position]:
                self._held[place] = one
                return None
            held = _Several(first, position, {first[position]: number_of_first})
            self._held[place] = held
        held.values[form[position]] = number
        return held.values

    def remove(self, form: Form, position: int) -> None:
        """Forget one."""
        del self._held[self.places(form)[position]]

    def forget(self, form: Form, but: int) -> None:
        """A form is no value any more in any of its contexts but that at a position."""
        for position, place in enumerate(self.places(form)):
            held = self._held.get(place)
            if held is None or position == but:
                continue
            if isinstance(held, _Several):
                if _fit(held.form, form, position):
                    held.values.pop(form[position], None)
                    if not held.values:
                        del self._held[place]
            elif held[0] == form:
                del self._held[place]

    def items(self) -> Iterator[tuple[int, Form, dict[str, int]]]:
        """Position, form and values of each, the one met first first."""
        for place, held in self._held.items():
            if isinstance(held, _Several):
                yield held.position, hole(held.form, held.position), held.values
            else:
                form, number = held
                position = self.places(form).index(place)
                yield position, hole(form, position), {form[position]: number}

    def restore(self, saved: Iterable[tuple[int, Form, dict[str, int]]]) -> None:
        """Take over what `items` gave."""
        known: dict[_One, _One] = {}
        for position, general, values in saved:
            forms = [(*general[:position], word, *general[position + 1 :]) for word in values]
            place = self.places(general)[position]
            if len(values) == 1:
                one = forms[0], next(iter(values.values()))
                self._held[place] = known.setdefault(one, one)
            else:
                self._held[place] = _Several(general, position, values)


def _fit(one: Form, other: Form, position: int) -> bool:
    """Whether two forms are equal but for a position."""
    return one[:position] == other[:position] and one[position + 1 :] == other[position + 1 :]
