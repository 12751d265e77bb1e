"""What every start has: a directory, keys, a certificate, waiting for *this* process, cleaning up."""

from __future__ import annotations

import http.client
import secrets
import ssl
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import ports
from .certificates import Certificate, make_certificate
from .errors import ServerStartFailed
from .processes import Processes, log_excerpt
from .running import RunningServer

__all__ = ["REGION", "Launch", "launch"]

REGION = "us-east-1"  # what all of them accept unconfigured
_ATTEMPTS = 3
_POLL_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One attempt to start a server: what it is given, and how it waits."""

    processes: Processes
    certificate: Certificate | None
    access_key: str
    secret_key: str
    deadline: float  # on time.monotonic()

    @property
    def directory(self) -> Path:
        """The server's own temporary directory."""
        return self.processes.directory

    def seconds_left(self) -> float:
        """Until the deadline; at least a tenth of a second, so that a last look is possible."""
        return max(0.1, self.deadline - time.monotonic())

    def url(self, port: int) -> str:
        """The endpoint at this port."""
        return f"{'https' if self.certificate else 'http'}://{ports.HOST}:{port}"

    def run(self, name: str, argv: Sequence[str | Path]) -> None:
        """Runs a command of the set-up to its end.

        Raises:
            ServerStartFailed: it failed or took too long; with an excerpt of its output.
        """
        status = self.processes.run(name, argv, timeout=self.seconds_left())
        if status != 0:
            raise ServerStartFailed(f"{argv[0]} ended with status {status}:\n{log_excerpt(self.processes.log(name))}")

    def wait(self, name: str, is_ready: Callable[[], bool]) -> None:
        """Waits until `is_ready()`.

        Raises:
            ServerStartFailed: a process of the server ended, or time is up; with an excerpt of the log.
        """
        while True:
            ready = is_ready()
            # Looked at before the answer counts: another server may have answered at our port.
            for dead, status in self.processes.exited().items():
                raise ServerStartFailed(
                    f"{dead} ended with status {status} while it started; its log:\n"
                    f"{log_excerpt(self.processes.log(dead))}"
                )
            if ready:
                return
            if time.monotonic() > self.deadline:
                raise ServerStartFailed(
                    f"{name} did not answer in time; its log:\n{log_excerpt(self.processes.log(name))}"
                )
            time.sleep(_POLL_SECONDS)

    def wait_http(self, name: str, port: int, path: str, statuses: Container[int]) -> None:
        """Waits until the process `name` itself answers a GET at this port with one of these statuses."""
        pid = self.processes.pids[name]
        context = ssl.create_default_context(cafile=self.certificate.ca_file) if self.certificate else None

        def answers() -> bool:
            if ports.listens([pid], port) is False:
                return False
            connection = (
                http.client.HTTPSConnection(ports.HOST, port, timeout=2, context=context)
                if context
                else http.client.HTTPConnection(ports.HOST, port, timeout=2)
            )
            try:
                connection.request("GET", path)
                return connection.getresponse().status in statuses
            except (OSError, http.client.HTTPException):
                return False
            finally:
                connection.close()

        self.wait(name, answers)


def launch(
    name: str,
    attempt: Callable[[Launch], int],
    *,
    tls: bool,
    buckets: Sequence[str],
    workdir: Path | None,
    timeout: float,
    checks_signatures: bool,
    uses_ports: Callable[[], Sequence[int]] = tuple,
) -> RunningServer:
    """Starts a server by `attempt`, again with other ports where somebody took one of its ports meanwhile.

    Args:
        name: which server.
        attempt: starts the processes, waits until they answer, returns the port.
        tls: make a certificate.
        buckets: created when it answers.
        workdir: where to make its temporary directory.
        timeout: seconds until it must answer.
        checks_signatures: as in `RunningServer`.
        uses_ports: the ports that the last attempt chose.

    Raises:
        ServerStartFailed: with an excerpt of the log; nothing is left behind.
        ServerUnavailable: a package or program is missing.
    """
    deadline = time.monotonic() + timeout
    for remaining in reversed(range(_ATTEMPTS)):
        processes = Processes(name, workdir)
        try:
            started = Launch(
                processes=processes,
                certificate=make_certificate(processes.directory) if tls else None,
                access_key=secrets.token_hex(10).upper(),
                secret_key=secrets.token_hex(20),
                deadline=deadline,
            )
            port = attempt(started)
            server = RunningServer(
                name=name,
                url=started.url(port),
                access_key=started.access_key,
                secret_key=started.secret_key,
                region=REGION,
                ca_file=started.certificate.ca_file if started.certificate else None,
                checks_signatures=checks_signatures,
                processes=processes,
            )
            for bucket in buckets:
                server.create_bucket(bucket)
        except ServerStartFailed as error:
            processes.stop()
            taken = [port for port in uses_ports() if not ports.is_free(port)]
            if not (taken and remaining):
                raise ServerStartFailed(f"the server {name} could not be started: {error}") from error
        except BaseException:
            processes.stop()
            raise
        else:
            return server
    raise AssertionError("unreachable")
