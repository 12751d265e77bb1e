"""pyarrow's S3FileSystem. Options: `part` (parallel reads of so many bytes; without it one), `threads`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyarrow import fs, set_io_thread_count

from bench.peers.adapter import ThreadedAdapter, parts


class Client(ThreadedAdapter):
    distribution = "pyarrow"

    def open(self) -> None:
        endpoint = self.endpoint
        trust: dict[str, Any] = {"tls_ca_file_path": endpoint.ca_file} if endpoint.ca_file else {}
        if "threads" in self.options:
            set_io_thread_count(self.options["threads"])
        self.fs = fs.S3FileSystem(
            access_key=endpoint.access_key,
            secret_key=endpoint.secret_key,
            region=endpoint.region,
            scheme="https" if endpoint.tls else "http",
            endpoint_override=endpoint.netloc,
            **trust,
        )

    def fetch_one(self, bucket: str, key: str, size: int) -> int:
        with self.fs.open_input_file(f"{bucket}/{key}") as file:
            part = self.options.get("part", size)
            if size <= part:
                return len(file.read_buffer())
            target = bytearray(size)

            def read(piece: tuple[int, int]) -> int:
                start, end = piece
                content = file.read_at(end - start, start)
                target[start:end] = content
                return len(content)

            with ThreadPoolExecutor(self.options["threads"]) as pool:
                return sum(pool.map(read, parts(size, part)))

    def store_one(self, bucket: str, key: str, payload: bytes) -> None:
        with self.fs.open_output_stream(f"{bucket}/{key}") as file:
            file.write(payload)
