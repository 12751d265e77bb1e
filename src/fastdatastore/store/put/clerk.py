"""A thread that asks the back end for a put: what is there, and whether it will stay."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue

from fastdatastore.errors import FastDatastoreError
from fastdatastore.store.backends.base import Backend, Existence
from fastdatastore.store.cancel import Cancel, Cancelled
from fastdatastore.store.collection.lease import Hold

# Between two looks at the lease while there is nothing to ask.
_IDLE_SECONDS = 60.0


@dataclass(eq=False, slots=True)
class Inquiry:
    """What is to be asked.

    Args:
        names: Of objects.
        look: Whether they exist.
        spare: They are to stay; before it is asked whether they exist.
        confirm: All that was spared must still be.

    Attributes:
        answers: To `look`.
        error: Why there is no answer.
    """

    names: tuple[str, ...]
    look: bool = True
    spare: bool = False
    confirm: bool = False
    answers: dict[str, Existence] = field(default_factory=dict, init=False)
    error: Exception | None = field(default=None, init=False)


class Clerk:
    """Begins with the first inquiry; what has come in meanwhile is asked together.

    Args:
        post: Has the put's own thread call something.
        stop: Once it is set, nothing more is asked.
    """

    def __init__(self, backend: Backend, hold: Hold, post: Callable[[Callable[[], None]], None], stop: Cancel) -> None:
        self._backend = backend
        self._post = post
        self._hold = hold
        self._stop = stop
        self._inquiries: SimpleQueue[Inquiry | None] = SimpleQueue()
        # Not the thread's: where it has caught errors, its frames live on until the garbage collector comes, and what
        # waits for an answer has large objects in hand.
        self._waiting: dict[Inquiry, Callable[[Inquiry], None]] = {}
        self._thread: threading.Thread | None = None

    @property
    def is_asking(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._waiting)

    def ask(self, inquiry: Inquiry, then: Callable[[Inquiry], None]) -> None:
        """Has it answered; `then` gets it back, in the put's own thread."""
        self._waiting[inquiry] = then
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fastdatastore-clerk", daemon=True)
            self._thread.start()
        self._inquiries.put(inquiry)

    def close(self) -> None:
        """Waits for the thread; with `stop` set it leaves what it is at."""
        if self._thread is not None:
            self._inquiries.put(None)
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                first = self._inquiries.get(timeout=_IDLE_SECONDS)
            except Empty:
                with contextlib.suppress(FastDatastoreError, Cancelled):  # it will be said when it matters
                    self._hold.confirm()
                continue
            batch = [first]
            while not self._inquiries.empty():
                batch.append(self._inquiries.get())
            inquiries = [each for each in batch if each is not None]
            self._try(self._see_to, [each for each in inquiries if each.spare or each.confirm])
            self._try(self._look, [each for each in inquiries if each.look and each.error is None])
            for each in inquiries:
                self._post(partial(self._deliver, each))
            if len(inquiries) < len(batch):
                return

    def _deliver(self, inquiry: Inquiry) -> None:
        self._waiting.pop(inquiry)(inquiry)

    def _try(self, act: Callable[[list[Inquiry]], None], inquiries: list[Inquiry]) -> None:
        try:
            if inquiries:
                self._stop.check()
                act(inquiries)
        except Exception as error:
            for each in inquiries:
                each.error = error

    def _see_to(self, inquiries: list[Inquiry]) -> None:
        self._hold.spare([name for each in inquiries if each.spare for name in each.names])
        if any(each.confirm for each in inquiries):
            self._hold.confirm()

    def _look(self, inquiries: list[Inquiry]) -> None:
        names = dict.fromkeys(name for each in inquiries for name in each.names)
        with contextlib.closing(self._backend.found(names, self._stop.check)) as found:
            answers = dict(found)
        for each in inquiries:
            each.answers = {name: answers[name] for name in each.names}
