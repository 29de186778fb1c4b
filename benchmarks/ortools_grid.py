"""Choose the defaults of the OR-Tools solver: a coarse grid on some instances, its best on others.

    .venv/bin/python benchmarks/ortools_grid.py coarse   # every setting, 3 s, 6 instances: 9 minutes
    .venv/bin/python benchmarks/ortools_grid.py final    # the best of it, 10 s, 8 other instances: 8 minutes

The instances come from our own X generator, so that the published X instances stay unseen. Both stages are ordinary
comparisons under .cache/grid, resumed if interrupted, with a report each. Run it on a quiet machine.
"""

import subprocess
import sys
from pathlib import Path

VERSUS = Path(sys.executable).with_name("versus")
ROOT = Path(".cache/grid")

COARSE_SIZES = {120: 11, 180: 12, 260: 13, 340: 14, 440: 15, 560: 16}
FINAL_SIZES = {100: 21, 150: 22, 200: 23, 300: 24, 400: 25, 500: 26, 600: 27, 800: 28}

GUIDED = [
    f"ortools:metaheuristic=guided_local_search,first_solution={first},vehicles={vehicles}"
    for first in ("automatic", "path_cheapest_arc", "savings", "parallel_savings", "parallel_cheapest_insertion")
    for vehicles in ("tight", "customers")
]
PENALTIES = [
    f"ortools:metaheuristic=guided_local_search,first_solution=parallel_savings,penalty={penalty}"
    for penalty in (0.05, 0.2)
]
METAHEURISTICS = [
    f"ortools:metaheuristic={name},first_solution=parallel_savings"
    for name in ("simulated_annealing", "tabu_search", "generic_tabu_search", "greedy_descent")
]
RUIN_AND_RECREATE = [
    "ortools:metaheuristic=ruin_and_recreate,first_solution=parallel_savings" + options
    for options in (
        "", ",vehicles=customers", ",vehicles=fewest", ",removed=10", ",removed=40", ",ruin=walk", ",ruin=both",
    )
] + [
    f"ortools:metaheuristic=ruin_and_recreate,first_solution={first}"
    for first in ("automatic", "path_cheapest_arc", "parallel_cheapest_insertion")
]  # fmt: skip
COARSE = [*GUIDED, *PENALTIES, *METAHEURISTICS, *RUIN_AND_RECREATE]
"""26 settings."""

FINAL = [
    "ortools:metaheuristic=guided_local_search,first_solution=automatic,vehicles=customers",
    "ortools:metaheuristic=guided_local_search,first_solution=parallel_savings,vehicles=tight",
    "ortools:metaheuristic=ruin_and_recreate,first_solution=parallel_savings",
    "ortools:metaheuristic=ruin_and_recreate,first_solution=parallel_savings,ruin=both",
]
"""The field's usual setting, the best guided local search, and the two best of the coarse grid."""


def main() -> None:
    """Run the stage that the command line names."""
    if sys.argv[1:] not in (["coarse"], ["final"]):
        raise SystemExit(__doc__)
    stage = sys.argv[1]
    sizes, solvers, budget = (COARSE_SIZES, COARSE, "3s") if stage == "coarse" else (FINAL_SIZES, FINAL, "10s")
    folder = ROOT / stage
    for size, seed in sizes.items():
        subprocess.run(
            [VERSUS, "generate", "routing", "x", "--size", str(size), "--seed", str(seed), "--out", folder], check=True
        )
    options = [part for solver in [*solvers, "pyvrp"] for part in ("--solver", solver)]
    subprocess.run(
        [
            VERSUS,
            "compare",
            folder,
            *options,
            "--budget",
            budget,
            "--reference",
            "pyvrp",
            "--out",
            ROOT / f"{stage}-out",
        ],
        check=True,
    )


if __name__ == "__main__":
    main()
