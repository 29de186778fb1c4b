"""A store on each kind of database."""

from collections.abc import Iterator

import pytest

from services.store.store import Store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store.open(database_url)
    yield store
    store.close()
