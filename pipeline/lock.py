"""One Tocsin to a data folder: two would do everything twice."""

from __future__ import annotations

import fcntl
from pathlib import Path

from model.errors import InputError, StoreError


class FolderLock:
    """Held from its making until `release`, or until the process ends, however it ends.

    Raises
    ------
    InputError
        If another process holds it.
    StoreError
        If the folder takes no files.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> lock = FolderLock(folder)
    >>> try:
    ...     FolderLock(folder)
    ... except InputError as error:
    ...     print(str(error).removeprefix(str(folder)))
    : another Tocsin works on this folder; end it, or choose another with --data
    >>> lock.release()
    >>> FolderLock(folder).release()
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = open(folder / "lock", "ab")
        except OSError as error:
            raise StoreError(f"{folder}: cannot be written to: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise InputError(
                f"{folder}: another Tocsin works on this folder; end it, or choose another with --data"
            ) from None

    def release(self) -> None:
        """Let another one in."""
        self._file.close()
