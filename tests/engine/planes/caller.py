"""Orders requests of a data plane, with as few words as a test needs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

Pairs = tuple[tuple[str, str], ...]


class Caller:
    """A plane of the module, and a queue on it."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.plane = module.Plane(1)
        self.queue = module.Queue(self.plane)
        self.credentials = module.Credentials("access", "secret", None, "us-east-1")
        self._endpoints: dict[str, Any] = {}

    def endpoint(self, url: str, ca_file: str | None = None, **options: Any) -> Any:
        parts = urlsplit(url)
        return self.module.Endpoint(
            parts.hostname, parts.netloc, parts.port, parts.scheme == "https", ca_file, **options
        )

    def order(
        self,
        endpoint: Any,
        method: str = "GET",
        path: str = "/bucket/key",
        *,
        tag: object = "tag",
        query: Pairs = (),
        headers: Pairs = (),
        body: Any = None,
        target: Any = None,
        upload_crc: int = -1,
        download_crc: int = -1,
        sign_payload: bool = False,
        pause_above: int = 0,
        content_max: int = 1 << 20,
        stall_timeout: float = 0.0,
        clock_offset: int = 0,
        signed: bool = True,
    ) -> tuple[Any, ...]:
        """An order for Queue.submit. `endpoint` may be a URL."""
        if isinstance(endpoint, str):
            endpoint = self._endpoints.setdefault(endpoint, self.endpoint(endpoint))
        return (
            tag,
            endpoint,
            self.credentials if signed else None,
            method,
            path,
            query,
            headers,
            body,
            target,
            upload_crc,
            download_crc,
            sign_payload,
            pause_above,
            content_max,
            stall_timeout,
            clock_offset,
        )

    def submit(self, endpoint: Any, method: str = "GET", path: str = "/bucket/key", **options: Any) -> None:
        self.queue.submit([self.order(endpoint, method, path, **options)])

    def report(self, timeout: float = 10.0) -> Any:
        """The next one."""
        reports = self.queue.take(timeout, 1)
        assert reports, "no report came"
        return reports[0]

    def ask(self, endpoint: Any, method: str = "GET", path: str = "/bucket/key", **options: Any) -> Any:
        """Submits, and returns the report."""
        self.submit(endpoint, method, path, **options)
        return self.report()
