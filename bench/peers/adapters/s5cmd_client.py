"""s5cmd, a program: to and from files on tmpfs. Options: `part` (MiB), `concurrency`, `workers`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.peers.adapter import Adapter


class Client(Adapter):
    wants_files = True

    def open(self) -> None:
        self.program = str(Path(sys.executable).with_name("s5cmd"))
        self.transfer = ["cp"]
        if "part" in self.options:
            self.transfer += ["--part-size", str(self.options["part"])]
            self.transfer += ["--concurrency", str(self.options["concurrency"])]

    @property
    def version(self) -> str:
        return subprocess.run([self.program, "version"], capture_output=True, text=True, check=True).stdout.strip()

    def fetch(self, bucket: str, keys: Sequence[str], size: int) -> int:
        target = self.directory / "fetched"
        target.mkdir()
        received = 0
        # It says when a file is whole; that is removed at once, as memory has no room for all that a long run fetches.
        for line in self._run([[*self.transfer, f"s3://{bucket}/{key}", str(target / key)] for key in keys]):
            file = Path(line.split()[-1])
            received += file.stat().st_size
            file.unlink()
        target.rmdir()
        return received

    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        for _ in self._run([[*self.transfer, str(payload), f"s3://{bucket}/{key}"] for key in keys]):
            pass

    def list_keys(self, bucket: str, directory: str) -> int:
        return len(list(self._run([["ls", f"s3://{bucket}/{directory}/*"]])))

    def _run(self, commands: Sequence[Sequence[str]]) -> Iterator[str]:
        """Yields the line that it says of each file: when it is done, or listed."""
        argv = [self.program, "--endpoint-url", self.endpoint.url, "--log", "info"]
        if "workers" in self.options:
            argv += ["--numworkers", str(self.options["workers"])]
        if len(commands) == 1:
            argv += commands[0]
        else:
            script = self.directory / "commands"
            script.write_text("".join(" ".join(command) + "\n" for command in commands))
            argv += ["run", str(script)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            yield from process.stdout
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, argv)
