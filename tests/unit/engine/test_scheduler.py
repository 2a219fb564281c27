"""One thread, the most urgent job first, and no job can hurt another."""

import threading
from collections.abc import Generator, Iterator

import pytest

from inkling.core import Priority
from inkling.engine.job import Done, Event, Failed, Job
from inkling.engine.kv import CacheFull
from inkling.engine.scheduler import Scheduler
from tests.unit.engine.toy import Toy, make_job


class Waiting:
    """A job's events, for the test's thread to wait for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.over = threading.Event()

    def emit(self, event: Event) -> bool:
        self.events.append(event)
        if isinstance(event, (Done, Failed)):
            self.over.set()
        return False

    def wait(self) -> None:
        assert self.over.wait(20), "the job never ended"


@pytest.fixture
def toy() -> Toy:
    return Toy(num_pages=400)


@pytest.fixture
def scheduler(toy: Toy) -> Iterator[Scheduler]:
    scheduler = Scheduler(toy.generator.run)
    scheduler.start()
    yield scheduler
    scheduler.stop()
    toy.cache.check_integrity()


def job(prompt: list[int], waiting: Waiting, **changes: object) -> Job:
    return make_job(prompt, waiting, **changes)  # type: ignore[arg-type]


def test_an_idle_prefill_yields_to_a_keystroke_and_goes_on(toy: Toy) -> None:
    log: list[str] = []
    started, go_on = threading.Event(), threading.Event()

    def run(job: Job) -> Generator[None, None, None]:
        for step, _ in enumerate(toy.generator.run(job)):
            log.append(job.priority.name)
            if step == 0 and job.priority is Priority.IDLE:
                started.set()
                assert go_on.wait(20)
            yield

    scheduler = Scheduler(run)
    scheduler.start()
    idle, key = Waiting(), Waiting()
    scheduler.submit(job([97] * 40, idle, max_tokens=0, priority=Priority.IDLE))
    assert started.wait(20)
    scheduler.submit(job([98] * 4, key, max_tokens=1))
    go_on.set()
    idle.wait()
    key.wait()
    scheduler.stop()
    assert log[:2] == ["IDLE", "INTERACTIVE"]
    assert log.count("IDLE") == 5
    assert log[-1] == "IDLE"


def test_a_failed_pass_reaches_its_job_and_the_next_job_works(
    toy: Toy, scheduler: Scheduler
) -> None:
    broken, fine = Waiting(), Waiting()
    toy.model.fail_at = 250
    scheduler.submit(job([97, 250], broken))
    broken.wait()
    failed = broken.events[-1]
    assert isinstance(failed, Failed)
    assert str(failed.error) == "the toy broke"
    scheduler.submit(job([97, 98], fine))
    fine.wait()
    assert isinstance(fine.events[-1], Done)


def test_a_cancelled_job_stops_within_one_step(toy: Toy) -> None:
    steps = 0
    waiting = Waiting()
    cancelled = job([97] * 400, waiting, max_tokens=0)

    def run(job: Job) -> Generator[None, None, None]:
        nonlocal steps
        for _ in toy.generator.run(job):
            steps += 1
            if steps == 3 and job is cancelled:
                job.cancel()
            yield

    scheduler = Scheduler(run)
    scheduler.start()
    scheduler.submit(cancelled)
    last = Waiting()
    scheduler.submit(job([98], last, max_tokens=0, priority=Priority.IDLE))
    last.wait()
    scheduler.stop()
    assert steps == 4
    assert not waiting.events
    toy.cache.check_integrity()


def test_stopping_drops_what_runs_and_leaks_nothing(toy: Toy) -> None:
    scheduler = Scheduler(toy.generator.run)
    for _ in range(3):
        scheduler.submit(job([97] * 300, Waiting(), max_tokens=0))
    scheduler.start()
    scheduler.stop()
    toy.cache.check_integrity()


def test_a_keystroke_takes_the_pages_of_a_paused_prefill() -> None:
    toy = Toy(num_pages=10, page_len=4, chunk_len=4, context_len=36)
    idle, key, later = Waiting(), Waiting(), Waiting()
    submitted = False

    def run(running: Job) -> Generator[None, None, None]:
        nonlocal submitted
        for step, _ in enumerate(toy.generator.run(running)):
            if running.priority is Priority.IDLE and step == 4 and not submitted:
                submitted = True
                queue.submit(job([98] * 30, key, max_tokens=2))
            yield

    queue = Scheduler(run)
    toy.cache.make_room = queue.make_room
    queue.start()
    queue.submit(job([97] * 30, idle, max_tokens=0, priority=Priority.IDLE))
    key.wait()
    idle.wait()
    assert isinstance(key.events[-1], Done)
    failed = idle.events[-1]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, CacheFull)
    queue.submit(job([97] * 30, later, max_tokens=0, priority=Priority.IDLE))
    later.wait()
    queue.stop()
    assert isinstance(later.events[-1], Done)
    toy.cache.check_integrity()


def test_a_prompt_larger_than_the_whole_cache_fails_with_the_cure() -> None:
    small = Toy(num_pages=4, page_len=4)
    scheduler = Scheduler(small.generator.run)
    small.cache.make_room = scheduler.make_room
    scheduler.start()
    alone = Waiting()
    scheduler.submit(job([97] * 30, alone, max_tokens=0))
    alone.wait()
    scheduler.stop()
    failed = alone.events[-1]
    assert isinstance(failed, Failed)
    assert "raise engine.kv_tokens" in str(failed.error)
