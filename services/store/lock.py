"""One writer at a time in a folder of results."""

import fcntl
import os
from pathlib import Path
from typing import IO

from instances.errors import InvalidInput

FILE_NAME = ".versus.lock"


def lock(folder: Path) -> IO[str]:
    """Take a folder for this process; it is free again when the file returned is closed or the process dies.

    Raises
    ------
    InvalidInput
        If another process has taken it.
    """
    # The lock is the kernel's, on the open file: one that a killed process left behind locks nobody out.
    file = (folder / FILE_NAME).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        with file:
            file.seek(0)
            holder = file.read().strip()
        if not isinstance(error, BlockingIOError):
            raise
        raise InvalidInput(f"another versus (pid {holder}) is writing here", str(folder)) from None
    file.truncate(0)
    print(os.getpid(), file=file, flush=True)
    return file
