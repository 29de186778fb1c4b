"""What the processes of the service do first: read their settings, open the store, listen."""

import os
import socket
from pathlib import Path

import sqlalchemy as sa
from pydantic import ValidationError
from pydantic_settings import SettingsError

from instances.errors import InvalidInput
from services.settings import Settings
from services.store.store import FILE_NAME, Store


class Unreachable(Exception):
    """The database cannot be reached or opened now."""


def read_settings() -> Settings:
    """The settings of the environment; InvalidInput that names the variable which is wrong."""
    try:
        return Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = Settings.model_config["env_prefix"] + str(first["loc"][0]).upper()
        raise InvalidInput(f"is {first['input']!r}: {first['msg']}", name) from None
    except SettingsError as error:
        raise InvalidInput(f"{error}: {error.__cause__}", "the environment") from None


def located(settings: Settings) -> Settings:
    """The settings with the URL of the store: without one, the SQLite file in the data folder."""
    if settings.database_url is not None:
        return settings
    file = settings.data_dir.absolute() / FILE_NAME
    url = sa.URL.create("sqlite", database=str(file)).render_as_string()
    return settings.model_copy(update={"database_url": url})


def store_url(settings: Settings) -> sa.URL:
    """The URL of the store that located settings name; InvalidInput if it is none."""
    assert settings.database_url is not None
    try:
        return sa.make_url(settings.database_url)
    except sa.exc.ArgumentError:
        message = "is no SQLAlchemy URL; e.g. postgresql://user:password@host/versus"
        raise InvalidInput(message, "VERSUS_DATABASE_URL") from None


def open_store(settings: Settings, *, migrate: bool | None = None) -> Store:
    """The store of located settings; by default only a SQLite file is made and brought up to date.

    Raises
    ------
    InvalidInput
        If the schema is of another version, and is not to be migrated.
    Unreachable
        If the database cannot be opened.
    """
    url = store_url(settings)
    file = sqlite_file(url)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    try:
        return Store.open(url, migrate=file is not None if migrate is None else migrate)
    except sa.exc.DBAPIError as error:
        raise Unreachable(f"the store {url.render_as_string()} cannot be opened: {error.orig}") from error


def sqlite_file(url: sa.URL) -> Path | None:
    """The file of a store, if it is one."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; InvalidInput if the address cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        remedy = "choose another, 0 for any free one" if port else "choose another host"
        why = os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else str(error)
        raise InvalidInput(f"cannot listen on {host}: {why}; {remedy}", f"--port {port}") from None
