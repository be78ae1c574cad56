"""The worker threads and the loop thread by themselves."""

from __future__ import annotations

import threading
from functools import partial

from mmagent import Engine, GraphBuilder, Text, tool
from mmagent.engine.cancel import CancelToken
from mmagent.engine.loop import LoopThread
from mmagent.engine.threads import Place, Workers, waiting


def names(workers: Workers, count: int) -> set[str]:
    """In how many threads `count` pieces of work are done one after another."""
    seen: set[str] = set()
    for _ in range(count):
        done = threading.Event()

        def work(done: threading.Event = done) -> None:
            seen.add(threading.current_thread().name)
            done.set()

        workers.submit(work)
        assert done.wait(20)
    return seen


def test_workers_start_side_by_side_up_to_the_limit() -> None:
    workers = Workers(4)
    meet = threading.Barrier(5, timeout=20)
    for _ in range(4):
        workers.submit(lambda: (meet.wait(), None)[1])
    meet.wait()
    workers.close()


def test_work_beyond_the_limit_is_done_when_a_worker_is_free() -> None:
    workers = Workers(2)
    left = threading.Semaphore(0)
    for _ in range(100):
        workers.submit(partial(left.release, 1))
    for _ in range(100):
        assert left.acquire(timeout=20)
    workers.close()


def test_a_worker_that_waits_gives_its_place_to_another() -> None:
    workers = Workers(1)
    inner, outer = threading.Event(), threading.Event()

    def work() -> None:
        workers.submit(inner.set)
        with waiting():
            assert inner.wait(20)
        outer.set()

    workers.submit(work)
    assert outer.wait(20)
    assert len(names(workers, 50)) <= 2
    workers.close()


def test_work_is_done_even_after_closing() -> None:
    workers = Workers(2)
    assert names(workers, 5)
    workers.close()
    assert names(workers, 5)


def test_a_timer_that_was_cancelled_does_not_call() -> None:
    loop = LoopThread()
    called: list[str] = []
    done = threading.Event()
    timer = loop.later(0.02, lambda: called.append("cancelled"))
    timer.cancel()
    loop.later(0.05, done.set)
    assert done.wait(20)
    assert called == []
    loop.close()
    timer.cancel()


def test_a_token_calls_each_listener_once_and_late_ones_at_once() -> None:
    token = CancelToken()
    heard: list[str] = []
    forget = token.subscribe(lambda: heard.append("forgotten"))
    token.subscribe(lambda: heard.append("early"))
    forget()
    token.cancel()
    token.cancel()
    token.subscribe(lambda: heard.append("late"))
    assert heard == ["early", "late"]
    assert token.cancelled


def test_a_place_that_was_given_up_goes_to_another_until_its_worker_is_back() -> None:
    workers = Workers(1)
    started, go, other = threading.Event(), threading.Event(), threading.Event()
    places: list[Place] = []

    def stuck() -> None:
        places.append(Place())
        started.set()
        assert go.wait(20)
        places[0].back()

    workers.submit(stuck)
    assert started.wait(20)
    workers.submit(other.set)
    assert not other.wait(0.05)
    places[0].give_up()
    places[0].give_up()
    assert other.wait(20)
    go.set()
    workers.close()


def test_a_place_that_is_back_is_given_up_without_effect() -> None:
    workers = Workers(1)
    place: list[Place] = []

    def work() -> None:
        place.append(Place())
        place[0].back()

    workers.submit(work)
    assert len(names(workers, 20)) == 1
    place[0].give_up()
    hold, second = threading.Event(), threading.Event()
    workers.submit(lambda: (hold.wait(20), None)[1])
    workers.submit(second.set)
    assert not second.wait(0.05)
    hold.set()
    assert second.wait(20)
    workers.close()


def test_closing_may_wait_for_calls_that_still_run() -> None:
    begun, go = threading.Event(), threading.Event()

    @tool(name="slow-end.v1")
    def slow_end(text: Text) -> Text:
        begun.set()
        go.wait(20)
        return text

    builder = GraphBuilder("slow-end")
    builder.output("text", builder.add("end", slow_end, text=builder.input("text", "text")))
    engine = Engine()
    stream = engine.stream(builder.checked(), {"text": Text("a")}, registry=builder.registry)
    next(iter(stream))
    assert begun.wait(20)
    assert not engine.close(wait=0.05)
    go.set()
    assert engine.close(wait=20)
