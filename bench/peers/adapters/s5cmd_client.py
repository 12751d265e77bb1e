"""s5cmd, a program: to and from files on tmpfs. Options: `part` (MiB), `concurrency`, `workers`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
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
        self._run([[*self.transfer, f"s3://{bucket}/{key}", str(target / key)] for key in keys])
        received = sum((target / key).stat().st_size for key in keys)
        shutil.rmtree(target)
        return received

    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        self._run([[*self.transfer, str(payload), f"s3://{bucket}/{key}"] for key in keys])

    def _run(self, commands: Sequence[Sequence[str]]) -> None:
        argv = [self.program, "--endpoint-url", self.endpoint.url, "--log", "error"]
        if "workers" in self.options:
            argv += ["--numworkers", str(self.options["workers"])]
        if len(commands) == 1:
            subprocess.run([*argv, *commands[0]], check=True)
            return
        script = self.directory / "commands"
        script.write_text("".join(" ".join(command) + "\n" for command in commands))
        subprocess.run([*argv, "run", str(script)], check=True)
