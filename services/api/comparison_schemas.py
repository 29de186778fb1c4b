"""What goes over the wire about comparisons and runs."""

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.api.schemas import EXAMPLE_DIGEST, Body, Digest, InstanceSummary, Text
from services.store.pages import storable
from services.submission import MAX_GENERATED

EXAMPLE_ID = "20261120-162233-4f9a2c81d7"


def _printable(text: str) -> str:
    if not text.isprintable() or not storable(text):
        raise ValueError("holds control characters; accepted is a line of text")
    return text


Line = Annotated[Text, AfterValidator(_printable)]
Spec = Annotated[
    Line, Field(min_length=1, max_length=500, description="NAME or NAME:field=value,field=value", examples=["ortools"])
]
ComparisonInPath = Annotated[
    str,
    Path(min_length=1, max_length=255, description="Id of the comparison", examples=[EXAMPLE_ID]),
    AfterValidator(_printable),
]
RunInPath = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="Id of the run", examples=[EXAMPLE_DIGEST])]
State = Literal["queued", "running", "finished", "cancelled", "incomplete"]
RunStatus = Literal[
    "finished", "killed", "no-solution", "crashed", "memory", "declined", "unavailable", "cancelled"
]  # fmt: skip
Duration = Annotated[str, Field(max_length=20, description="500ms, 2s, 5m or 1h", examples=["2s"])]
Memory = Annotated[str, Field(max_length=20, description="Limit of a run: 512M or 4G", examples=["4G"])]
Seed = Annotated[int, Field(ge=0, le=2**53)]
Threads = Annotated[int, Field(ge=1, le=1024)]
Priority = Annotated[int, Field(ge=-10, le=10, description="The higher comes first")]


class Generator(Body):
    """Instances to be made."""

    problem: str = Field(examples=["routing"])
    kind: str = Field(description="See /v1/generators", examples=["uniform"])
    parameters: dict[Line, bool | int | float | Line | None] = Field(
        default_factory=dict,
        max_length=32,
        description="Size or bits, and options of the kind",
        examples=[{"size": 20}],
    )
    count: int = Field(ge=1, le=MAX_GENERATED, examples=[10])
    seed: Seed | None = Field(None, description="By default the kind's own")


class ComparisonRequest(Body):
    """A comparison to be made: instances, stored ones or made here, x solvers x seeds under one budget."""

    title: Annotated[Line, Field(max_length=200)] = ""
    instances: list[Digest] | None = Field(None, min_length=1, max_length=1_000_000)
    generator: Generator | None = None
    solvers: list[Spec] = Field(min_length=1, max_length=100, examples=[["ortools", "pointer:decode=sample"]])
    budget: Duration
    seeds: int = Field(1, ge=1, le=10_000, description="Runs of each solver on each instance")
    seed: Seed = 0
    threads: Threads = 1
    memory: Memory = "4G"
    reference: Spec | None = Field(None, description="The solver that pairs are compared with; by default all pairs")
    priority: Priority = 0

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": "twenty customers",
                    "generator": {"problem": "routing", "kind": "uniform", "parameters": {"size": 20}, "count": 10},
                    "solvers": ["ortools", "pointer:decode=sample"],
                    "budget": "2s",
                }
            ]
        },
    )


class RunRequest(Body):
    """One run to be made, on a stored instance or on one that is sent with it."""

    instance: Digest | None = None
    document: dict[str, Any] | None = Field(None, description="An instance as JSON, in place of `instance`")
    solver: Spec
    budget: Duration
    seed: Seed = 0
    threads: Threads = 1
    memory: Memory = "4G"
    priority: Priority = 0

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"document": {"problem": "factoring", "version": 1, "n": "8051"}, "solver": "rho", "budget": "1s"},
                {"instance": EXAMPLE_DIGEST, "solver": "ortools", "budget": "2s"},
            ]
        },
    )


class Counts(BaseModel):
    """How far the runs are."""

    queued: int
    running: int
    ended: int
    by_status: dict[str, int] = Field(description="The ended ones", examples=[{"finished": 18, "declined": 2}])


class Definition(BaseModel):
    """The terms; `solvers` has each spec as it was sent with its canonical form, `budget` is in seconds."""

    name: str
    solvers: dict[str, str]
    budget: float
    num_seeds: int
    seed: int
    threads: int
    memory: int = Field(description="In bytes")
    batch: int
    reference: str | None
    problems: dict[str, str] = Field(description="The problem that each solver solves")


class Comparison(BaseModel):
    """A comparison and its state: incomplete is one that misses runs and has none left to do."""

    id: str = Field(examples=[EXAMPLE_ID])
    title: str
    single: bool = Field(description="Whether it is just one run of POST /v1/runs")
    state: State
    num_runs: int
    num_instances: int
    counts: Counts
    seconds_left: float | None = Field(description="An estimate; null where there is nothing to go by")
    created_at: str
    priority: int
    problems: list[str]
    definition: Definition
    environment: dict[str, str]
    revision: str = Field(description="Another one whenever other runs have ended")
    links: dict[str, str]


class Comparisons(BaseModel):
    """A page of comparisons, newest first."""

    items: list[Comparison]
    next: str | None = Field(description="The cursor of the next page; null on the last")


class RunItem(BaseModel):
    """A run in short; what is measured is null until it has ended."""

    id: str
    comparison: str
    instance: str = Field(description="Its digest")
    instance_name: str
    problem: str
    solver: str
    repetition: int
    state: Literal["queued", "running", "ended"]
    status: str | None
    reason: str | None
    cost: int | None = Field(description="In units of 10^-decimals")
    decimals: int
    partial: bool | None
    attempt: int
    num_rejected: int | None
    setup_seconds: float | None
    wall_seconds: float | None
    cpu_seconds: float | None
    disturbed: bool | None
    finished_at: str | None


class Runs(BaseModel):
    """A page of runs."""

    items: list[RunItem]
    next: str | None = Field(description="The cursor of the next page; null on the last")


class Record(BaseModel):
    """All that is known of a run that has ended."""

    id: str
    comparison: str
    instance: str = Field(description="Its digest")
    solver: str = Field(description="Its label within the comparison")
    spec: str = Field(description="The canonical spec")
    repetition: int
    seed: int
    status: RunStatus
    reason: str
    cost: int | None = Field(description="Of the last incumbent, in the instance's units")
    partial: bool
    trace: list[tuple[float, int]] = Field(description="Verified incumbents: seconds and cost")
    solution: Any = Field(description="The document of the last one's solution; null without one")
    num_reported: int
    num_rejected: int
    num_late: int
    setup_seconds: float
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    involuntary_switches: int
    disturbed: bool
    versions: dict[str, str]
    machine: str
    log: str
    finished_at: str
    attempt: int


class Records(BaseModel):
    """A page of records."""

    items: list[Record]
    next: str | None = Field(description="The cursor of the next page; null on the last")


class Explanation(BaseModel):
    """How a solver comes to the best solution of a run."""

    run: str
    state: Literal["none", "asked", "made"]
    explanation: dict[str, Any] | None = Field(
        description="For a pointer network: `checkpoint`, `decode` and `steps`, each with the location it was `at`, "
        "the one `chosen`, and `probabilities` of the likeliest next ones; or `error`, why there is none"
    )


class Run(BaseModel):
    """A run: queued, running or ended."""

    id: str
    comparison: str
    title: str
    single: bool
    instance: InstanceSummary
    solver: str = Field(description="Its label within the comparison")
    spec: str = Field(description="The canonical spec")
    repetition: int
    seed: int
    budget: float = Field(description="In seconds")
    threads: int
    memory: int
    priority: int
    state: Literal["queued", "running", "ended"]
    attempt: int
    cancelling: bool = Field(description="Whether it is to be cancelled")
    trace: list[tuple[float, int]] = Field(description="Verified incumbents so far: seconds and cost")
    cost: int | None = Field(description="Of the last incumbent, in units of 10^-decimals")
    display_cost: float | None = Field(description="The same as people write it")
    decimals: int
    queued_at: str | None = None
    started_at: str | None = None
    status: RunStatus | None = Field(None, description="How it ended")
    reason: str | None = None
    partial: bool | None = Field(None, description="Whether the answer leaves something to do")
    num_reported: int | None = None
    num_rejected: int | None = None
    num_late: int | None = None
    setup_seconds: float | None = None
    wall_seconds: float | None = None
    cpu_seconds: float | None = None
    peak_bytes: int | None = None
    involuntary_switches: int | None = None
    disturbed: bool | None = None
    versions: dict[str, str] | None = None
    machine: str | None = None
    finished_at: str | None = None
    log: str | None = Field(None, description="The end of what the solver printed, with ?log=true")
    links: dict[str, str]


class SolutionDocument(BaseModel):
    """The best verified solution of a run."""

    run: str
    instance: str
    problem: str
    cost: int = Field(description="In units of 10^-decimals")
    decimals: int
    partial: bool
    solution: Any


class Statistics(BaseModel):
    """What a comparison says of each of its problems, with what it rests on."""

    comparison: str
    state: State
    revision: str
    problems: dict[str, dict[str, Any]]
    notes: list[str]
    endings: list[dict[str, Any]] = Field(description="How the runs of each solver ended")
    failures: list[dict[str, Any]] = Field(description="What went wrong, commonest first")
    versions: dict[str, str] = Field(description="What each solver ran with")
    machines: list[str]


class Figures(BaseModel):
    """Names of the figures of each problem."""

    comparison: str
    revision: str
    problems: dict[str, list[str]]
