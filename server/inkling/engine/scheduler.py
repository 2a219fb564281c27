"""The one thread that touches model and KV cache, and the queue in front of it.

Before every step the most urgent job is taken: lowest priority value, then first come. A less urgent
one pauses where it is, its KV in place, and goes on when nothing more urgent is left.
"""

import itertools
import logging
import queue
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass

from inkling.core import Priority
from inkling.engine.job import Failed, Job
from inkling.engine.kv import CacheFull

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Active:
    """A job under way. `order` keeps jobs of one priority first come, first served."""

    job: Job
    order: int
    steps: Generator[None, None, None]
    has_started: bool = False


class Scheduler:
    """Runs jobs step by step. `submit` and `stop` may be called by any thread."""

    def __init__(self, run: Callable[[Job], Generator[None, None, None]]) -> None:
        """`run` makes a job's steps (`Generator.run`)."""
        self._run = run
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._active: list[_Active] = []
        self._order = itertools.count()
        self._thread = threading.Thread(target=self._serve, name="inkling-engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job; its events come through `job.emit`, on the engine thread."""
        self._inbox.put(job)

    def stop(self) -> None:
        """Drop all jobs and end the thread; returns when it has ended."""
        self._inbox.put(None)
        self._thread.join()

    def queue_len(self, priority: Priority) -> int:
        """Jobs of one priority that wait or run. A moment's view, for metrics."""
        return sum(active.job.priority is priority for active in list(self._active))

    def make_room(self) -> bool:
        """End the least urgent paused job, so that the one that runs gets its KV pages.

        For `KVCache.make_room`: called within a step. False if no job is less urgent.
        """
        running = min(self._active, key=_urgency)
        paused = [each for each in self._active if each.has_started]
        last = max(paused, key=_urgency)
        if last.job.priority <= running.job.priority:
            return False
        self._active.remove(last)
        last.steps.close()
        last.job.emit(
            Failed(CacheFull("a more urgent request took the KV cache's pages: ask again later."))
        )
        return True

    def _serve(self) -> None:
        try:
            while self._admit():
                self._step(min(self._active, key=_urgency))
        finally:
            for active in self._active:
                active.steps.close()

    def _admit(self) -> bool:
        """Take in what has arrived, waiting if there is nothing to do. False: time to stop."""
        while True:
            try:
                job = self._inbox.get(block=not self._active)
            except queue.Empty:
                return True
            if job is None:
                return False
            self._active.append(_Active(job, next(self._order), self._run(job)))

    def _step(self, active: _Active) -> None:
        if active.job.is_cancelled:
            active.steps.close()
            self._active.remove(active)
            return
        active.has_started = True
        try:
            next(active.steps)
        except StopIteration:
            self._active.remove(active)
        except Exception as error:  # whatever it is, it is this job's, not ours
            log.exception("a request failed")
            self._active.remove(active)
            active.job.emit(Failed(error))


def _urgency(active: _Active) -> tuple[int, int]:
    return active.job.priority, active.order
