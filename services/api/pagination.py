"""The parameters of lists that come in pages, and the pages themselves."""

from typing import Annotated

from fastapi import Query

from services.store.pages import LIMIT, after, before, page, start

__all__ = ["LIMIT", "Cursor", "Limit", "after", "before", "page", "start"]

Limit = Annotated[int, Query(ge=1, le=1000, description="Most items of the page.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="`next` of the page before.")]
