"""Whatever a solver does, its run is recorded as what it was, and the next run is none the worse for it."""

import os
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from instances.errors import InvalidInput
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding
from services.records import Incumbent, Status
from services.runner import child, proc
from services.runner.hearing import TRACE_LENGTH
from services.runner.pipes import Reader
from services.runner.pool import resolve, run_all
from services.runner.process import SolverProcess, Unavailable
from services.runner.slot import _thinned

SINGLES_COST = 2 * 10 * sum(range(1, 21))


def test_good_answer_is_finished_and_priced_by_the_referee(slot, task):
    """A finished run carries the referee's cost, its arrival, and what it used."""
    run = slot.run(task("trivial"))
    assert (run.status, run.cost, run.num_reported) == (Status.FINISHED, SINGLES_COST, 1)
    assert 0 < run.trace[0].seconds <= run.wall_seconds < 1
    assert run.setup_seconds > 0
    assert run.peak_bytes > 10 * 1024**2
    assert run.versions["hostile"] == "1.0"


def test_decline_carries_its_reason(slot, task):
    """A decline is no failure; the solver's own words are kept."""
    run = slot.run(task("declining"))
    assert (run.status, run.reason, run.cost) == (Status.DECLINED, "not my kind of instance", None)


@pytest.mark.parametrize("spec", ["hanging", "stubborn"])
def test_overrunning_solver_is_killed_after_its_grace(slot, task, spec):
    """A solver that never returns is killed at budget + 1 s; what it had reported counts."""
    began = time.perf_counter()
    run = slot.run(task(spec, budget=0.3))
    assert run.status is Status.KILLED
    assert 1.3 <= run.wall_seconds < 2.0
    assert time.perf_counter() - began < 6
    assert run.cost == (SINGLES_COST if spec == "hanging" else None)


@pytest.mark.parametrize("spec", ["leaking", "leaking-grandchild"])
def test_leak_ends_at_the_memory_limit(slot, task, spec):
    """Memory beyond the limit ends the run as such, in the child as in its children."""
    run = slot.run(task(spec, budget=20.0))
    assert run.status is Status.MEMORY, run.reason
    assert run.wall_seconds < 15


@pytest.mark.parametrize(("spec", "status"), [("forking", Status.KILLED), ("deserting", Status.CRASHED)])
def test_no_process_of_a_solver_outlives_its_run(slot, task, tmp_path, spec, status):
    """Grandchildren in sessions of their own are found and killed, also when the solver itself died first."""
    record = tmp_path / "pids"
    run = slot.run(task(f"{spec}:record={record}", budget=1.0))
    assert run.status is status
    processes = [int(line) for line in record.read_text().split()]
    assert processes
    assert [pid for pid in processes if _alive(pid)] == []


def _alive(pid: int) -> bool:
    try:
        return _state(pid) not in "ZX"
    except FileNotFoundError:
        return False


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_flood_of_output_keeps_only_the_end_of_the_log(slot, task):
    """Endless printing neither blocks the run nor fills memory."""
    run = slot.run(task("flooding", budget=0.5))
    assert run.status is Status.FINISHED
    assert len(run.log) <= 64 * 1024
    assert run.log.endswith("last words\n")


def test_flood_of_reports_does_not_overrun(slot, task):
    """Reporting without end ends with the budget, and every report in time was judged."""
    run = slot.run(task("flooding-reports", budget=0.3))
    assert run.status is Status.FINISHED
    assert run.num_reported > 100
    assert len(run.trace) == 1
    assert run.wall_seconds < 1.3


def test_garbage_in_the_runners_own_pipe_is_a_crash(slot, task):
    """A solver that writes to the protocol's pipe is stopped, with that reason."""
    run = slot.run(task("garbling", budget=1.0))
    assert run.status is Status.CRASHED
    assert "pipe" in run.reason


def test_infeasible_solutions_are_rejected_and_counted(slot, task):
    """Infeasible routes and things that are no routes leave no answer, but a reason."""
    run = slot.run(task("infeasible"))
    assert (run.status, run.num_rejected, run.cost) == (Status.NO_SOLUTION, 2, None)
    assert "customer 1 is not visited" in run.reason


def test_late_solution_does_not_count(slot, task):
    """What arrives after the budget is counted as late and is no answer."""
    run = slot.run(task("late", budget=0.2))
    assert (run.status, run.num_late, run.cost) == (Status.NO_SOLUTION, 1, None)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("dying", "killed by SIGKILL"),
        ("raising", "RuntimeError: the solver's own fault"),
        ("exiting", "exit code 3"),
    ],
)
def test_crash_says_how_the_solver_died(slot, task, spec, reason):
    """Signals, exceptions and exits are told apart, and the next run of the same solver gets a new child."""
    first = slot.run(task(spec))
    second = slot.run(task(spec))
    assert first.status is second.status is Status.CRASHED
    assert first.reason == second.reason == reason
    assert first.cost == (SINGLES_COST if spec == "dying" else None)


@pytest.mark.parametrize(("spec", "status"), [("odd-failure", Status.CRASHED), ("nested", Status.CRASHED)])
def test_odd_messages_are_crashes(slot, task, spec, status):
    """Neither an unknown kind of failure nor a line that cannot be decoded stops the comparison."""
    assert slot.run(task(spec)).status is status


def test_reasons_and_logs_are_clean_and_short(slot, task):
    """Text that no database takes, or that has no end, is cut and mended."""
    run = slot.run(task("unspeakable"))
    assert run.status is Status.CRASHED
    assert len(run.reason) <= 4096
    run.reason.encode()
    assert "\0" not in run.reason + run.log


def test_process_left_behind_by_a_good_run_is_killed(slot, task, tmp_path):
    """A solver that returns properly but leaves a process keeps no core busy for the next."""
    record = tmp_path / "pids"
    assert slot.run(task(f"littering:record={record}")).status is Status.FINISHED
    assert [pid for pid in map(int, record.read_text().split()) if _alive(pid)] == []


def test_closing_twice_closes_no_others_file(slot, task, tmp_path):
    """A file descriptor is closed once: by then its number may be another's."""
    slot.run(task("trivial"))
    (process,) = slot._warm.values()
    process.close()
    with (tmp_path / "file").open("w") as file:
        process.close()
        file.write("still open")
    assert (tmp_path / "file").read_text() == "still open"


def test_report_of_an_earlier_run_is_not_taken_for_an_answer(slot, task, instance):
    """A thread that an earlier run left behind cannot answer for a later one."""
    smaller = RoutingInstance(
        rounding=Rounding.NEAREST,
        coordinates=instance.coordinates[:6],
        demand=instance.demand[:6],
        capacity=10,
    )
    assert slot.run(task("haunting", budget=0.5)).cost == SINGLES_COST
    run = slot.run(task("haunting", budget=0.5, on=smaller))
    assert run.cost == 2 * 10 * sum(range(1, 6))
    assert run.num_rejected == 0


def test_warm_child_decodes_a_fresh_instance_and_starts_a_fresh_log(slot, task):
    """Runs of one solver share a process, but neither an instance nor a log."""
    first, second = slot.run(task("counting")), slot.run(task("counting"))
    assert first.log == "run 1 of this process\n"
    assert second.log == "run 2 of this process\n"


def test_child_that_hoards_memory_is_replaced(slot, task):
    """What one run leaves in memory does not count against the next."""
    runs = [slot.run(task("hoarding")) for _ in range(6)]
    assert [run.status for run in runs] == [Status.FINISHED] * 6
    assert max(run.peak_bytes for run in runs) < 350 * 1024**2


@pytest.mark.parametrize("spec", ["savings", "pyvrp:iterations=50"])
def test_warm_equals_cold(slot, task, spec):
    """A deterministic solver answers the same in a new child as in one that has solved before."""
    cold = slot.run(task(spec, budget=10.0))
    warm = slot.run(task(spec, budget=10.0))
    assert cold.cost is not None
    assert [incumbent.solution for incumbent in cold.trace] == [incumbent.solution for incumbent in warm.trace]


def test_unimportable_solver_is_unavailable_with_the_message(slot, task):
    """An import error never becomes a stand-in."""
    run = slot.run(task("broken-import"))
    assert run.status is Status.UNAVAILABLE
    assert "a_package_that_is_not_installed" in run.reason
    assert "no weights here" in slot.run(task("unpreparable")).reason


def test_unknown_solver_and_parameter_are_bad_input(slot, task):
    """Unknown names are refused with what there is."""
    with pytest.raises(InvalidInput, match=r"unknown; there are: .*trivial"):
        SolverProcess("no-such-solver", {}, slot.cores, 1, slot.memory)
    with pytest.raises(InvalidInput, match="unknown parameter 'speed'; accepted are: record"):
        SolverProcess("forking", {"speed": "9"}, slot.cores, 1, slot.memory)


def test_cancelled_run_ends_at_once(slot, task):
    """A cancel flag kills the child within a moment."""
    began = time.perf_counter()
    run = slot.run(task("hanging", budget=30.0), cancelled=lambda: time.perf_counter() - began > 0.5)
    assert run.status is Status.CANCELLED
    assert time.perf_counter() - began < 5


def test_children_are_gone_when_the_slot_closes(slot, task):
    """Closing a slot leaves no child behind."""
    slot.run(task("trivial"))
    pids = [process._process.pid for process in slot._warm.values()]
    slot.__exit__()
    assert [pid for pid in pids if _alive(pid)] == []


def test_child_is_pinned_to_the_slots_cores(slot, task):
    """A solver runs on the slot's cores and no others."""
    slot.run(task("trivial"))
    (process,) = slot._warm.values()
    assert os.sched_getaffinity(process._process.pid) == set(slot.cores)


@pytest.mark.parametrize("length", [1, TRACE_LENGTH, TRACE_LENGTH + 1, 1000])
def test_long_traces_are_thinned_to_their_first_and_last(length):
    """A trace keeps at most 200 incumbents, the first and the last among them, in order."""
    trace = [Incumbent(float(i), -i) for i in range(length)]
    thinned = _thinned(trace)
    assert len(thinned) == len(set(thinned)) == min(length, TRACE_LENGTH)
    assert (thinned[0], thinned[-1]) == (trace[0], trace[-1])
    assert list(thinned) == sorted(thinned, key=lambda incumbent: incumbent.seconds)


@pytest.mark.parametrize(
    ("spec", "status", "reason"),
    [
        ("choking", Status.MEMORY, "MemoryError while it prepared"),
        ("falling", Status.CRASHED, "killed by SIGSEGV while it prepared"),
        ("bloated", Status.MEMORY, "exit code 1 while the instance was loaded"),
    ],
)
def test_death_before_the_start_is_no_unavailability(slot, task, spec, status, reason):
    """A child that dies or has no memory while it prepares or takes the instance crashed, and the next run is made."""
    matrix = np.ones((1500, 1500), dtype=int)
    np.fill_diagonal(matrix, 0)
    large = RoutingInstance(rounding=Rounding.EXPLICIT, matrix=matrix, num_vehicles=1)
    run = slot.run(task(spec, on=large))
    assert (run.status, run.reason) == (status, reason)
    assert slot.run(task("trivial")).status is Status.FINISHED


def test_idle_child_is_stopped(slot, task):
    """A thread that a run left behind takes no time from the next solver; its child still answers the next run."""
    for _ in range(2):
        assert slot.run(task("restless")).status is Status.FINISHED
        (process,) = slot._warm.values()
        deadline = time.monotonic() + 5
        while _state(process._process.pid) != "T":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        before = proc.usage(process._process.pid).cpu_seconds
        time.sleep(0.3)
        assert proc.usage(process._process.pid).cpu_seconds == before
    assert slot.child("restless") is process


def test_cpu_time_counts_the_whole_family(slot, task):
    """A run whose work is done by a process that was not waited for used the processor all the same."""
    run = slot.run(task("delegating", budget=5.0))
    assert run.status is Status.FINISHED
    assert run.cpu_seconds > 0.15


@pytest.mark.parametrize(
    ("spec", "status", "reason"),
    [
        ("forging", Status.CRASHED, "wrote to the runner's own pipe"),
        ("forging:kind=failed", Status.CRASHED, "failed, and did not say why"),
        ("forging-readiness", Status.UNAVAILABLE, "garbage"),
        ("forging-readiness:kind=failed", Status.CRASHED, "failed, and did not say why while it prepared"),
        ("forging-readiness:kind=ready", Status.UNAVAILABLE, ""),
    ],
)
def test_forged_messages_hold_nothing_up(slot, task, spec, status, reason):
    """A plug-in that says it is gone, has failed or is ready is not believed, nor waited for."""
    began = time.perf_counter()
    run = slot.run(task(spec, budget=20.0))
    assert run.status is status
    assert reason in run.reason
    assert time.perf_counter() - began < 5
    assert slot.run(task("trivial")).status is Status.FINISHED


def test_flood_after_the_solvers_death_does_not_hold_the_end_up(slot, task):
    """What the dead solver left behind prints without end; the end is told from the process."""
    began = time.perf_counter()
    run = slot.run(task("inundating", budget=20.0))
    assert (run.status, run.reason) == (Status.CRASHED, "exit code 3")
    assert time.perf_counter() - began < 10


def test_reader_ends_though_the_log_is_never_empty(monkeypatch):
    """A pipe that is filled again as fast as it is read is read once after the child's end."""
    process = subprocess.Popen(["true"])
    messages, other = os.pipe()
    from_log, log = os.pipe()
    os.write(log, b"flood")
    monkeypatch.setattr(Reader, "_keep", lambda reader, chunk: os.write(log, chunk))
    assert Reader(process.pid, messages, from_log).events.get(timeout=10).name == "gone"
    process.wait()
    os.close(other)
    os.close(log)


@pytest.mark.parametrize("spec", ["slow-to-prepare", "flooding-reports"])
def test_cancelling_interrupts_whatever_is_waited_for(slot, task, referee, spec):
    """Preparing, and judging what is left after a run, end within a moment, and the slot lives on."""
    referee("slow")
    began = time.perf_counter()
    run = slot.run(task(spec, budget=0.3), cancelled=lambda: time.perf_counter() - began > 3)
    assert (run.status, run.reason) == (Status.CANCELLED, "cancelled")
    assert time.perf_counter() - began < 6
    assert slot.run(task("trivial", budget=5.0)).status is Status.FINISHED


def test_failed_resolving_waits_for_no_other_solver(slot):
    """When one solver is refused, those that still prepare are ended."""
    began = time.perf_counter()
    with pytest.raises(Unavailable, match="broken-import"):
        resolve(["broken-import", "slow-to-prepare"], slot.cores, 1, slot.memory)
    assert time.perf_counter() - began < 10


def test_worker_that_cannot_start_leaves_no_other_behind(slot, task, monkeypatch):
    """The error is raised, and the threads that did start have ended."""
    started, start = [], threading.Thread.start

    def start_one(thread):
        if thread._target.__name__ == "work":
            if started:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        list(run_all([[task("hanging", budget=30.0)]], [slot.cores, slot.cores], 1, slot.memory))
    assert not started[0].is_alive()


def test_kernel_without_clear_refs_is_no_error(monkeypatch):
    """Where the peak cannot be reset, the run goes on with the peak so far."""

    def refuse(*_):
        raise PermissionError("clear_refs")

    monkeypatch.setattr("builtins.open", refuse)
    child._reset_peak_memory()


# --- Batches


def test_batch_is_one_run_for_each_of_its_instances(slot, task, instance):
    """Each instance has its own verdicts, seed and key; time, memory and log are the batch's; one may be declined."""
    others = [line_of(number) for number in (5, 31, 6)]
    group = [task("together", seed=1), *(task("together", seed=place, on=on) for place, on in enumerate(others, 2))]
    runs = slot.run_together(group)
    assert [run.status for run in runs] == [Status.FINISHED, Status.NO_SOLUTION, Status.DECLINED, Status.FINISHED]
    assert [run.instance for run in runs] == [one.digest for one in group]
    assert (runs[0].cost, runs[1].num_rejected, runs[2].reason) == (SINGLES_COST, 1, "too large")
    assert runs[3].cost == sum(2 * 10 * customer for customer in range(1, 7))
    assert len({(run.wall_seconds, run.cpu_seconds, run.peak_bytes, run.log) for run in runs}) == 1
    assert runs[0].log.split() == ["0", "1", "1", "2", "2", "4"]


def test_solver_without_batches_declines_them(slot, task):
    """Also where only one instance is left for the last batch."""
    for number in (1, 2):
        runs = slot.run_together([task("trivial")] * number)
        assert len(runs) == number
        assert {(run.status, run.reason) for run in runs} == {(Status.DECLINED, "solves one instance at a time")}
    assert slot.run(task("trivial")).status is Status.FINISHED


@pytest.mark.parametrize(
    ("then", "status"), [("raise", Status.CRASHED), ("hang", Status.KILLED), ("forge", Status.DECLINED)]
)
def test_batch_that_ends_badly_keeps_what_was_reported(slot, task, then, status):
    """A crash or a kill is that of every run of the batch; answers that came before it count."""
    group = [task(f"together:then={then}", budget=0.3), task(f"together:then={then}", budget=0.3, on=line_of(5))]
    runs = slot.run_together(group)
    assert [run.status for run in runs] == [status, Status.NO_SOLUTION if then == "forge" else status]
    assert (runs[0].cost, runs[1].cost) == (SINGLES_COST, None)


def line_of(number: int) -> RoutingInstance:
    """A depot and so many customers on a line."""
    coordinates = np.stack([np.arange(number + 1) * 10, np.zeros(number + 1, dtype=int)], axis=1)
    demand = np.ones(number + 1, dtype=int)
    demand[0] = 0
    return RoutingInstance(rounding=Rounding.NEAREST, coordinates=coordinates, demand=demand, capacity=10)
