"""HTTP as uvicorn reads it, with problem details for what is no HTTP too."""

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.api.errors import problem


class Protocol(H11Protocol):
    """A connection; what cannot be read as a request is answered like every other error, and closed."""

    def send_400_response(self, msg: str) -> None:
        """Refuse what was read; called by uvicorn."""
        answer = problem(400, f"{msg.rstrip('.')}; accepted is HTTP/1.1")
        headers = [*answer.raw_headers, (b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
