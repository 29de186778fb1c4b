"""Whatever the referee does, stamps, limits and the next solution do not wait for it."""

import itertools
import json
import os
import threading
import time

import pytest

from instances.problems import problem_of
from instances.routing.solution import Routes
from services.records import Status
from services.runner import hearing as hearings
from services.runner import machine
from services.runner import slot as slots
from services.runner.hearing import Hearing, Judge
from services.runner.process import SolverProcess

GOOD = {"cost": 10, "complete": True, "notes": []}


def test_slow_referee_delays_neither_a_stamp_nor_the_kill(slot, task, referee):
    """With a second of C for each of three verdicts, answers are stamped as they come and the kill is punctual."""
    referee("slow")
    run = slot.run(task("ticking", budget=0.6))
    assert run.status is Status.KILLED
    assert 1.6 <= run.wall_seconds < 1.9
    assert (len(run.trace), run.num_late) == (3, 0)
    assert run.trace[-1].seconds < 0.5


def test_full_backlog_holds_the_solver_and_not_the_limits(slot, task, referee, monkeypatch):
    """A solver that floods a slow referee waits to report; it is killed on time, and what was not judged is counted."""
    monkeypatch.setattr(hearings, "PENDING_SOLUTIONS", 3)
    monkeypatch.setattr(slots, "DRAIN_SECONDS", 0.5)
    # Slower than the whole run, so that the backlog is full to its end however the reports were read.
    monkeypatch.setenv("HOSTILE_SLOW_SECONDS", "5")
    referee("slow")
    run = slot.run(task("flooding-reports", budget=2.0))
    assert run.status is Status.KILLED
    assert 3.0 <= run.wall_seconds < 3.5
    assert len(run.trace) == 1
    assert run.reason.startswith("still running 3 s after the start; not judged in time: ")
    assert slot.run(task("trivial", budget=20.0)).status is Status.FINISHED


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("hanging", "the judge gave no answer within 0.3 s"),
        ("aborting", "the judge died: killed by SIGABRT"),
        ("failing", "ZeroDivisionError: the referee's own fault"),
    ],
)
def test_solution_that_breaks_the_referee_is_rejected(slot, task, referee, monkeypatch, manner, reason):
    """The run goes on: its next solution is judged, by a new judge where need be."""
    monkeypatch.setattr(hearings, "VERDICT_SECONDS", 0.3)
    referee(manner)
    run = slot.run(task("unlucky"))
    assert (run.status, run.num_rejected, len(run.trace)) == (Status.FINISHED, 1, 1)
    assert run.reason == f"rejected: {reason}"


def test_partial_answer_says_what_remains(slot, task, referee):
    """The notes of the last incumbent are the reason when it leaves something to do."""
    referee("leaving")
    run = slot.run(task("trivial"))
    assert run.partial
    assert not run.answered
    assert run.status is Status.NO_SOLUTION
    assert run.reason == "partial: something remains; and more"


def test_incumbents_are_told_live(slot, task):
    """Each improvement is told while the run goes on, in order, and none after its end."""
    told = []
    run = slot.run(task("ticking", budget=0.5), on_incumbent=lambda new: told.append((time.perf_counter(), new)))
    ended = time.perf_counter()
    assert tuple(incumbent for _, incumbent in told) == run.trace
    assert told[-1][0] < ended - 0.8


def test_error_of_the_listener_ends_the_run(slot, task):
    """What on_incumbent raises reaches the caller soon, and the slot lives on."""

    def listen(incumbent):
        raise LookupError("no one listens")

    began = time.perf_counter()
    with pytest.raises(LookupError, match="no one listens"):
        slot.run(task("hanging", budget=30.0), on_incumbent=listen)
    assert time.perf_counter() - began < 5
    assert slot.run(task("trivial")).status is Status.FINISHED


def test_judge_is_warm_and_keeps_off_the_solvers_core(slot, task, instance):
    """One process judges all runs of a slot; it learns a new instance when there is one, and ends with the slot."""
    slot.run(task("trivial"))
    process = slot._judge._process
    assert slot.run(task("nearest")).status is Status.FINISHED
    assert slot._judge._process is process
    if os.sched_getaffinity(0) - slot.cores:
        assert not os.sched_getaffinity(process.pid) & slot.cores
    slot.__exit__()
    assert process.returncode is not None


def test_backlog_is_bounded_in_bytes():
    """Whoever reports more than fits waits until there is room; one solution always fits."""
    go_on = threading.Semaphore(0)
    verdicts = iter([{"rejected": "bad"}, GOOD, GOOD])

    def verdict(solution):
        go_on.acquire()
        return next(verdicts)

    with Hearing(b"", 1.0, lambda incumbent: None, pending_bytes=10) as hearing:
        threading.Thread(target=hearing.attend, args=(verdict,)).start()
        hearing.hear(0.1, b"[" + b" " * 20 + b"]")
        blocked = threading.Thread(target=hearing.hear, args=(0.2, b"[2]"))
        blocked.start()
        blocked.join(0.1)
        assert blocked.is_alive()
        go_on.release()
        blocked.join(5)
        assert not blocked.is_alive()
        hearing.hear(0.3, b"[3]")
        hearing.hear(1.1, b"[4]")
        go_on.release(2)
        hearing.drain(5)
        assert hearing.judged.wait(5)
    assert [incumbent.solution for incumbent in hearing.trace] == [b"[2]"]
    assert (hearing.num_reported, hearing.num_rejected, hearing.num_late, hearing.num_unjudged) == (4, 1, 1, 0)
    assert hearing.first_rejection == "bad"


def test_solution_of_an_odd_form_is_rejected(slot, instance):
    """What is no JSON the judge can decode is rejected; neither side is put out of step."""
    problem = problem_of(instance)
    singles = Routes(tuple((customer,) for customer in instance.customers.tolist()))
    with Hearing(json.dumps(problem.dump(instance)).encode(), 1.0, lambda incumbent: None) as hearing:
        slot._judge.open(hearing)
        good = json.dumps(problem.dump_solution(singles))
        for odd in (b"", b"nonsense", b"[" * 100_000, b"1" * 5000, b"null", b"\xff", good.encode("utf-16")):
            hearing.hear(0.1, odd)
        hearing.hear(0.2, good.encode())
        hearing.drain(20)
        assert hearing.judged.wait(20)
    assert (hearing.num_rejected, len(hearing.trace)) == (7, 1)


def verdicts_from(costs, hearing, num_live, orders):
    """The verdict on a solution that is an index into ``costs``; the run is over after so many."""

    def verdict(solution):
        orders.append(int(solution))
        if len(orders) == num_live:
            hearing.drain(10)
        return {**GOOD, "cost": costs[int(solution)]}

    return verdict


def test_after_the_run_the_newest_is_judged_first():
    """The trace is by arrival, strictly improving, whatever the order of the verdicts; only improvements are told."""
    told, order = [], []
    with Hearing(b"", 1.0, lambda new: told.append(new.cost)) as hearing:
        for i in range(6):
            hearing.hear(0.1, b"%d" % i)
        hearing.attend(verdicts_from([50, 40, 45, 30, 35, 30], hearing, 2, order))
    assert order == [0, 1, 5, 4, 3, 2]
    assert [incumbent.solution for incumbent in hearing.trace] == [b"0", b"1", b"3"]
    assert told == [50, 40, 30]


def test_what_the_judge_has_no_time_for_is_the_oldest(monkeypatch):
    """Patience begins after the verdict under way, and the verdict begun in it is ended."""
    now, order = [0.0], []
    with Hearing(b"", 1.0, lambda new: None) as hearing:
        for i in range(9):
            hearing.hear(0.1, b"%d" % i)
        judge = verdicts_from([9 - i for i in range(9)], hearing, 1, order)

        def verdict(solution):
            now[0] += 6
            return judge(solution)

        monkeypatch.setattr(hearings.time, "monotonic", lambda: now[0])
        hearing.attend(verdict)
    assert order == [0, 8, 7]
    assert [incumbent.cost for incumbent in hearing.trace] == [9, 2, 1]
    assert hearing.num_unjudged == 6


def test_long_trace_is_thinned_while_it_grows():
    """Of thousands of incumbents a few hundred are held, evenly spread, the first and the last among them."""
    count = 5003
    with Hearing(b"", 1.0, lambda new: None) as hearing:
        hearing.unbind()
        for i in range(count):
            hearing.hear(0.1, b"%d" % i)
        hearing.attend(verdicts_from(range(count, 0, -1), hearing, count, []))
    kept = [int(incumbent.solution) for incumbent in hearing.trace]
    steps = [later - earlier for earlier, later in itertools.pairwise(kept)]
    assert (kept[0], kept[-1]) == (0, count - 1)
    assert hearings.TRACE_LENGTH <= len(kept) < 2 * hearings.TRACE_LENGTH
    assert set(steps[:-1]) == {16}
    assert 0 < steps[-1] <= 16


def test_judge_that_cannot_load_is_no_fault_of_the_solver(slot, task, referee):
    """The run is not recorded; the error says what the judge said."""
    referee("unloading")
    with pytest.raises(ChildProcessError, match="the judge could not load the instance: ZeroDivisionError: the judge"):
        slot.run(task("trivial"))


def test_judge_that_was_killed_judges_again(slot, task, referee, monkeypatch, tmp_path):
    """Whoever killed it, the solution that it had is not rejected for that."""
    monkeypatch.setenv("HOSTILE_TOLD", str(tmp_path / "told"))
    referee("killed once")
    run = slot.run(task("trivial"))
    assert (tmp_path / "told").exists()
    assert (run.status, run.num_rejected) == (Status.FINISHED, 0)


def test_judge_that_cannot_start_is_no_fault_of_the_solver(slot, task):
    """It is tried twice."""
    slot._judge = Judge(slot._judge.cores, "no_such_judge")
    with pytest.raises(ChildProcessError, match="the judge died: exit code 1; no run can be checked"):
        slot.run(task("trivial"))


def test_solver_gets_the_instance_after_the_judge(slot, task, referee, monkeypatch):
    """While the judge takes its time, no child has the instance."""
    referee("slow to load")
    seen = []
    load = SolverProcess.load

    def noted(process, documents):
        seen.append([slot._judge._loaded] == documents)
        load(process, documents)

    monkeypatch.setattr(SolverProcess, "load", noted)
    assert slot.run(task("trivial")).status is Status.FINISHED
    assert seen == [True]


def test_judge_disturbs_no_other_run(monkeypatch):
    """It shares a core with its own solver only, and that only where there is no other."""
    monkeypatch.setattr(machine, "_physical_core", lambda cpu: str(cpu // 2))
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    first, second = frozenset({0}), frozenset({2})
    assert machine.judge_cores(first, first) == {2, 3}
    assert machine.judge_cores(first, first | second) == {0, 1}
