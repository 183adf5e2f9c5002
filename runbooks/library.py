"""All runbooks of a folder, each in the languages it was written in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from runbooks.runbook import TEXT_CHARACTERS_MAX, Runbook, RunbookError, parse

SHIPPED = Path(__file__).parent / "library"
_LANGUAGE = re.compile(r"[a-z]{2,3}([_-][A-Za-z]{2,4})?")


@dataclass(frozen=True)
class Library:
    """Runbooks by name; `translations` by language, then name; `problems` of files left out.

    Examples
    --------
    >>> library = shipped()
    >>> library.problems, library.get("service-down").title
    ((), 'A service does not answer')
    """

    runbooks: dict[str, Runbook] = field(default_factory=dict)
    translations: dict[str, dict[str, Runbook]] = field(default_factory=dict)
    problems: tuple[RunbookError, ...] = ()

    def get(self, name: str) -> Runbook | None:
        """The runbook of that name, or None."""
        return self.runbooks.get(name)

    def in_language(self, language: str) -> Library:
        """The same library with what is translated in that language ("zh", "zh_CN"), the rest as it is."""
        language = language.replace("-", "_")
        spoken = {
            **self.translations.get(language.split("_")[0], {}),
            **self.translations.get(language, {}),
        }
        known = {name: book for name, book in spoken.items() if name in self.runbooks}
        return Library({**self.runbooks, **known}, self.translations, self.problems)

    def with_(self, other: Library) -> Library:
        """Both together; the other's win by name, in every language."""
        kept = {
            language: {name: book for name, book in books.items() if name not in other.runbooks}
            for language, books in self.translations.items()
        }
        languages = sorted({*kept, *other.translations})
        return Library(
            {**self.runbooks, **other.runbooks},
            {
                name: {**kept.get(name, {}), **other.translations.get(name, {})}
                for name in languages
            },
            (*self.problems, *other.problems),
        )


def load(folder: Path | str) -> Library:
    """Read every `*.md` of a folder, and of its folders named by a language (`zh/`).

    A file that cannot be used is left out and reported; the rest is read.

    Parameters
    ----------
    folder : path
        One that does not exist gives an empty library with one problem.
    """
    root = Path(folder)
    problems: list[RunbookError] = []
    if not root.is_dir():
        problems.append(RunbookError(str(root), 1, "no such folder"))
        return Library(problems=tuple(problems))
    runbooks = _read(root, problems)
    translations = {
        part.name.replace("-", "_"): _read(part, problems)
        for part in sorted(root.iterdir())
        if part.is_dir() and not part.is_symlink() and _LANGUAGE.fullmatch(part.name)
    }
    return Library(runbooks, translations, tuple(problems))


def shipped() -> Library:
    """The runbooks that come with Tocsin."""
    return load(SHIPPED)


def _read(folder: Path, problems: list[RunbookError]) -> dict[str, Runbook]:
    found: dict[str, Runbook] = {}
    for path in sorted(folder.glob("*.md")):
        try:
            if path.stat().st_size > 4 * TEXT_CHARACTERS_MAX:
                raise RunbookError(str(path), 1, "too large for a runbook")
            book = parse(path.read_text(encoding="utf-8"), str(path))
        except RunbookError as error:
            problems.append(error)
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            problems.append(RunbookError(str(path), line, "not UTF-8 text"))
        except OSError as error:
            problems.append(RunbookError(str(path), 1, error.strerror or "cannot be read"))
        else:
            found[book.name] = book
    return found
