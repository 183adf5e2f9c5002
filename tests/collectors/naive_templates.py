"""The naive twin of `collectors/templates.py`: each form with a word left out is made, and looked up as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from collectors.forms import Form
from collectors.holes import Contexts, hole
from collectors.settings import TemplateSettings
from collectors.templates import TemplateMiner as Miner
from collectors.templates import _lettered
from collectors.tokens import PARAMETER


class _Plain(Contexts):
    """A dictionary of positions and forms to the values seen there, also where there is only one."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._seen: dict[tuple[int, Form], dict[str, int]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def make_room(self) -> None:
        """Where it is full, the older half goes."""
        if len(self._seen) >= self._most:
            self._seen = dict(list(self._seen.items())[len(self._seen) // 2 :])

    def note(self, place: int, position: int, one: tuple[Form, int]) -> dict[str, int]:
        """By the form with the word left out, whatever its place would be."""
        form, number = one
        values = self._seen.setdefault((position, hole(form, position)), {})
        values[form[position]] = number
        return values

    def remove(self, form: Form, position: int) -> None:
        """Forget one."""
        del self._seen[position, form]

    def forget(self, form: Form, but: int) -> None:
        """The form is no value any more but at a position."""
        for position, word in enumerate(form):
            context = (position, hole(form, position))
            if position != but and context in self._seen:
                self._seen[context].pop(word, None)
                if not self._seen[context]:
                    del self._seen[context]

    def items(self) -> Iterator[tuple[int, Form, dict[str, int]]]:
        """All of it."""
        for (position, form), values in self._seen.items():
            yield position, form, values

    def restore(self, items: Iterable[tuple[int, Form, dict[str, int]]]) -> None:
        """What `items` gave."""
        self._seen = {(position, form): dict(values) for position, form, values in items}


class TemplateMiner(Miner):
    """Looks up form by form, and remembers no line that there is no room for."""

    def __init__(self, settings: TemplateSettings | None = None) -> None:
        super().__init__(settings)
        self._contexts = _Plain(self.settings.contexts_max)

    def load(self, data: bytes) -> None:
        """Take over a snapshot."""
        super().load(data)
        plain = _Plain(self.settings.contexts_max)
        plain.restore(self._contexts.items())
        self._contexts = plain

    def _learn(self, line: str) -> int:
        number = super()._learn(line)
        self._beyond.clear()
        return number

    def _generalise(self, form: Form) -> Form:
        for position, word in enumerate(form):
            if word != PARAMETER and (general := hole(form, position)) in self._open:
                return self._generalise(general)
        return form

    def _widen(self, form: Form, number: int) -> None:
        self._contexts.make_room()
        opened = form in self._open
        fixed = [_lettered(word) for word in form]
        for position, word in enumerate(form):
            if (opened and word == PARAMETER) or sum(fixed) - fixed[position] < 1:
                continue
            values = self._contexts.note(0, position, (form, number))
            assert values is not None
            count = len(values) + (PARAMETER in values)
            if count >= self._needed(form, position, values):
                self._merge(position, hole(form, position), values)
                return
