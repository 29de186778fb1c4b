"""How fast the pointer network trains and decodes, beside RL4CO, both in one run.

    python -m venv .cache/rl4co && .cache/rl4co/bin/pip install rl4co==0.7.0 torch==2.13.0
    .venv/bin/python benchmarks/neural_speed.py --rl4co .cache/rl4co/bin/python [--repeats 20] [--threads 2]

Two warm processes, one of each environment, take turns at going first; while one computes the other waits. Both hold
an attention network of 3 layers, 128 wide, with 8 heads, and fresh weights, and follow one trajectory from every
customer of random CVRP instances that were made beforehand. Timed are a training step of 64 instances (sample, score,
shared baseline or preferences, gradient, Adam), greedy decoding of 250 instances, and of one. A ratio is RL4CO's
seconds to ours, the geometric mean over the repeats with its 95 % t-limits. The exit code is 1 if a ratio is below its
limit, or if training at 50 customers takes more than 2 GB. Run it on a quiet machine.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from scipy import stats

SIDES = Path(__file__).parent
LIMITS = {"train": 2.0, "many": 2.0, "one": 3.0}
TASKS = [f"{kind}-{size}" for kind in LIMITS for size in (20, 50)]
NUMBER = {"train": 64, "many": 250, "one": 1}
MAX_BYTES = 2 * 1024**3
WORDS = {"train": "training step, 64 instances", "many": "greedy, 250 instances", "one": "greedy, one instance"}


def main() -> int:
    """Alternate both sides over all tasks; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rl4co", type=Path, help="Python of an environment with RL4CO 0.7")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve(options.threads)
        return 0
    if options.rl4co is None or not options.rl4co.exists():
        parser.error("--rl4co: give the Python of an environment with RL4CO; the first lines of --help make one")
    from services.runner.machine import describe_machine

    print("; ".join(f"{name} {value}" for name, value in describe_machine().items()))
    ours = Side([sys.executable, str(SIDES / "neural_speed.py"), "--side"], options.threads)
    theirs = Side([str(options.rl4co), str(SIDES / "neural_speed_rl4co.py")], options.threads)
    print("| task | RL4CO, s | versus, s | ratio | 95 % limits | at least |\n| --- | --- | --- | --- | --- | --- |")
    failed = False
    for task in TASKS:
        kind, _, size = task.partition("-")
        for side in (ours, theirs):
            for _ in range(3):
                side.seconds(task)
        seconds = np.empty((options.repeats, 2))
        for repeat in range(options.repeats):
            for column in ((0, 1), (1, 0))[repeat % 2]:
                seconds[repeat, column] = (ours, theirs)[column].seconds(task)
        logs = np.log(seconds[:, 1] / seconds[:, 0])
        half = stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs)
        ratio, low, high = np.exp(logs.mean() + np.array([0, -half, half]))
        failed |= ratio < LIMITS[kind]
        print(
            f"| CVRP{size}, {WORDS[kind]} | {np.median(seconds[:, 1]):.4f} | {np.median(seconds[:, 0]):.4f} | "
            f"{ratio:.2f} | [{low:.2f}, {high:.2f}] | {LIMITS[kind]:g} |", flush=True,
        )  # fmt: skip
    used = ours.peak_bytes()
    print(f"\nPeak memory of our side, all tasks done: {used / 1024**3:.2f} GiB; at most 2.")
    return int(failed or used > MAX_BYTES)


class Side:
    """A process that does a task whenever it is told to, and says how many seconds it took."""

    def __init__(self, command: list[str], threads: int) -> None:
        command = [*command, "--threads", str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self, task: str) -> float:
        return float(self._ask(task)["seconds"])

    def peak_bytes(self) -> int:
        return int(self._ask("memory")["bytes"])

    def _ask(self, task: str) -> dict[str, float]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(task + "\n")
        self._process.stdin.flush()
        while not (line := self._process.stdout.readline()).startswith("{"):
            if not line:
                sys.exit(f"error: {' '.join(map(str, self._process.args))} ended")  # type: ignore[arg-type]
        answer: dict[str, float] = json.loads(line)
        return answer


def serve(threads: int) -> None:
    """Our side: one line of answer for each task."""
    import torch

    from solvers.neural.data import training_batch
    from solvers.neural.rollout import rollout
    from solvers.neural.state import all_starts
    from solvers.neural.training import accumulate_gradients, make_policy, starts_of
    from solvers.training import TrainingArguments

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    generator = np.random.default_rng(1)
    states = {}
    for task in map(str.strip, sys.stdin):
        if task == "memory":
            print(json.dumps({"bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)
            continue
        kind, size = task.split("-")
        arguments = TrainingArguments(
            smallest=int(size), largest=int(size), batch=NUMBER[kind], trajectories=int(size), threads=threads
        )
        if task not in states:
            policy = make_policy(arguments)
            states[task] = policy, torch.optim.Adam(policy.parameters(), lr=3e-4, fused=True)
        policy, optimizer = states[task]
        batch = training_batch(arguments, generator)
        begun = time.perf_counter()
        if kind == "train":
            optimizer.zero_grad()
            accumulate_gradients(policy, arguments, batch, starts_of(arguments, batch, generator), 1)
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimizer.step()
        else:
            with torch.no_grad():
                rollout(policy, policy.encode(batch), batch, all_starts(batch)[:, 1:]).cost.amin(dim=1)
        print(json.dumps({"seconds": time.perf_counter() - begun}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
