"""How a worker ends: in order where it can, and within a time that nothing in it can stretch.

Kubernetes and systemd's unit give a process 30 s from SIGTERM. What is not kept by then is read again, so that whatever
hangs (a database that takes connections and answers nothing, a client of the brokers) is worth no more than that.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
import sys
import threading
from collections.abc import Callable

from pipeline.distributed.threads import Apart

log = logging.getLogger("tocsin.worker")

ALL_WITHIN_S = 27.0
"""A signal, to the end of the process."""


class Ending:
    """What ends this worker: a signal, or a mistake of ours in one of its threads.

    Parameters
    ----------
    within_s : float
        How long all of it may take.

    Attributes
    ----------
    stopping : asyncio.Event
        Set once it is to end.
    crashed : bool
        Whether a mistake is why.
    """

    def __init__(self, within_s: float = ALL_WITHIN_S) -> None:
        self._within_s = within_s
        self.stopping = asyncio.Event()
        self.crashed = False
        self._asked = False
        self._loop = asyncio.get_running_loop()

    def listen(self) -> None:
        """From now on; call it in the main thread."""
        # Not by the loop: it may be what stands still.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.ask())
        threading.excepthook = self._died
        self._watching = asyncio.create_task(self._until_told())

    async def _until_told(self) -> None:
        """Somebody else may have said so: a stage that cannot go on."""
        await self.stopping.wait()
        self.ask()

    def ask(self) -> None:
        """End, and let a watchdog outside of Python end it with status 1, saying where all threads stand, if that hangs."""
        if self._asked:
            return
        self._asked = True
        faulthandler.dump_traceback_later(self._within_s, exit=True, file=sys.__stderr__ or 2)
        self._tell(self.stopping.set)

    def _died(self, what: threading.ExceptHookArgs) -> None:
        """Half a worker that looks alive is worse than none: it would go on holding leases and partitions."""
        if isinstance(what.thread, Apart):
            return  # Faust's consumer, whose stage is begun again
        name = what.thread.name if what.thread else "a thread"
        log.critical("%s died of a mistake of ours; everything ends", name, exc_info=what.exc_value)
        self.crashed = True
        self.ask()

    def _tell(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            return  # the loop has ended already
