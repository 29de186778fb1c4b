"""What goes over the wire, for all routes: the types they share, and those of instances, solvers and verdicts."""

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.store.pages import storable

MEDIA_TYPE = "application/problem+json"

EXAMPLE_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _storable(text: str) -> str:
    if not storable(text):
        raise ValueError("holds a NUL or half a surrogate pair; accepted is text")
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""Text that a database takes."""
DIGEST = "^[0-9a-f]{64}$"
Digest = Annotated[str, Field(pattern=DIGEST, description="Digest of an instance", examples=[EXAMPLE_DIGEST])]
DigestInPath = Annotated[str, Path(pattern=DIGEST, description="Digest of the instance", examples=[EXAMPLE_DIGEST])]
TextInQuery = Annotated[str | None, Query(max_length=200), AfterValidator(lambda text: text and _storable(text))]


class Body(BaseModel):
    """What a client sends: unknown fields are refused, and so are numbers that are none."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class FieldProblem(BaseModel):
    """One thing that is wrong with a request."""

    where: str
    detail: str


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field("about:blank", description="Always about:blank: the status says the kind")
    title: str = Field(description="The status in words")
    status: int
    detail: str = Field(description="What was wrong, and what would be accepted")
    where: str | None = Field(None, description="The field, parameter, file or line that it is about")
    errors: list[FieldProblem] | None = Field(None, description="All that is wrong, where it is more than one thing")


class BestKnown(BaseModel):
    """A best-known cost, in units of 10^-decimals, with where it comes from."""

    cost: int
    proven_optimal: bool
    source: str
    date: str


class InstanceSummary(BaseModel):
    """An instance in words and numbers."""

    digest: str = Field(examples=[EXAMPLE_DIGEST])
    problem: str = Field(examples=["routing"])
    name: str = Field(examples=["X-n101-k25"])
    size: int = Field(description="How many there are of `size_unit`", examples=[100])
    size_unit: str = Field(examples=["customers"])
    features: list[str] = Field(description="The constraints it uses", examples=[["capacity"]])
    decimals: int = Field(description="Costs are in units of 10^-decimals", examples=[0])
    properties: dict[str, str | int | float | None]
    best_known: BestKnown | None
    added_at: str = Field(examples=["2026-11-20T16:22:33.512+00:00"])


class Instance(InstanceSummary):
    """An instance with its document."""

    document: dict[str, Any] = Field(description="The whole instance, as JSON")


class InstancePage(BaseModel):
    """A page of instances, newest first."""

    items: list[InstanceSummary]
    next: str | None = Field(description="The cursor of the next page; null on the last")


class Uploaded(BaseModel):
    """One uploaded instance."""

    digest: str = Field(examples=[EXAMPLE_DIGEST])
    name: str = Field(examples=["X-n101-k25"])
    problem: str = Field(examples=["routing"])
    size: int = Field(examples=[100])
    new: bool = Field(description="False if the same instance was there already, under whatever name")
    notes: list[str] = Field(description="What should be known of how the file was read")


class Uploads(BaseModel):
    """The uploaded instances, in their order."""

    items: list[Uploaded]


class Parameter(BaseModel):
    """A parameter of a solver or generator."""

    name: str
    type: str = Field(examples=["int", "float or none", "greedy|sample"])
    default: str | None = Field(description="As text; null where there is none")
    required: bool
    help: str


class Solver(BaseModel):
    """A solver; one that cannot be used here has an `error` in place of the rest."""

    name: str = Field(examples=["pyvrp"])
    summary: str | None = None
    problem: str | None = Field(None, examples=["routing"])
    honours: list[str] | None = Field(None, description="The features of instances that it can take")
    explains: bool | None = Field(None, description="Whether its runs can be explained")
    batches: bool | None = Field(None, description="Whether it takes several instances at once")
    versions: dict[str, str] | None = None
    parameters: list[Parameter] | None = None
    error: str | None = Field(None, description="Why it is unavailable")


class Solvers(BaseModel):
    """All solvers, by name."""

    items: list[Solver]


class Generator(BaseModel):
    """A kind of instances that can be made."""

    problem: str = Field(examples=["routing"])
    kind: str = Field(examples=["uniform"])
    summary: str
    parameters: list[Parameter]


class Generators(BaseModel):
    """All generators."""

    items: list[Generator]


class Violation(BaseModel):
    """One broken constraint."""

    kind: str = Field(examples=["capacity"])
    message: str
    route: int | None = Field(description="From 1")
    customer: int | None
    amount: int | None = Field(description="The excess in the constraint's own unit")


class Verdict(BaseModel):
    """The referee's word about a solution: an exact cost, or the violations."""

    digest: str = Field(description="Digest of the instance", examples=[EXAMPLE_DIGEST])
    feasible: bool
    complete: bool = Field(description="Whether nothing is left to do; false for a factorisation with a composite part")
    cost: int | None = Field(description="Exact, in units of 10^-decimals; null if infeasible")
    decimals: int
    display: str | None = Field(description="The cost as people write it", examples=["27591"])
    claimed: str | None = Field(description="The cost that the solution file claims, as people write it")
    notes: list[str]
    violations: list[Violation] = Field(description="At most the first 100")
    num_violations: int
