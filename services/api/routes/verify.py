"""The referee for anyone's solution."""

import json
from typing import Annotated, Any, Self

from fastapi import APIRouter
from fastapi import Body as Example
from fastapi.responses import JSONResponse
from pydantic import model_validator

from services.api.bodies import StrictRoute
from services.api.context import Context
from services.api.errors import Refusal
from services.api.referee import Busy
from services.api.schemas import Body, Digest, Verdict
from services.api.security import Reader

router = APIRouter(prefix="/v1", tags=["verify"], route_class=StrictRoute)

_EXAMPLES = {
    "factors": {
        "summary": "The factors of a number",
        "value": {
            "document": {"problem": "factoring", "version": 1, "n": "1000036000099"},
            "solution": ["1000003", "1000033"],
        },
    },
    "file": {
        "summary": "The text of a solution file",
        "value": {
            "document": {"problem": "factoring", "version": 1, "n": "1000036000099"},
            "solution_text": "1000003 * 1000033",
            "format": ".factors",
        },
    },
}


class Question(Body):
    """A solution, as document or as the text of a file, to a stored instance or to that of a document."""

    instance: Digest | None = None
    document: dict[str, Any] | None = None
    solution: list[Any] | None = None
    solution_text: str | None = None
    format: str | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.instance is None) == (self.document is None):
            raise ValueError("accepted is either `instance`, a digest, or `document`, an instance's document")
        if (self.solution is None) == (self.solution_text is None):
            raise ValueError("accepted is either `solution`, a document, or `solution_text` with its `format`")
        if (self.solution_text is None) != (self.format is None):
            raise ValueError("accepted is `format` together with `solution_text`, .sol or .factors say")
        return self


@router.post("/verify", response_model=Verdict, summary="Verify a solution")
def verify(
    service: Context, _caller: Reader, question: Annotated[Question, Example(openapi_examples=_EXAMPLES)]
) -> JSONResponse:
    """The referee's verdict: the exact cost of a solution, or everything that is wrong with it."""
    if question.instance is not None:
        found = service.instances.get(question.instance)
        if found is None:
            raise Refusal(404, "there is no such instance; GET /v1/instances lists those there are", "instance")
        document, max_size = found[1], None
    else:
        document, max_size = json.dumps(question.document).encode(), service.settings.max_instance_size
    solution = json.dumps(question.solution).encode()
    try:
        answer = service.referee.verdict(document, solution, question.solution_text, question.format or "", max_size)
    except Busy:
        raise Refusal(429, "the referee is busy; try again", headers={"Retry-After": "5"}) from None
    return JSONResponse(answer)
