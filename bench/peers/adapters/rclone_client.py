"""rclone, a program: to and from files on tmpfs. Options: `flags`, `many_flags` (for more than one object)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.peers.adapter import Adapter


class Client(Adapter):
    wants_files = True

    def open(self) -> None:
        endpoint = self.endpoint
        self.argv = [str(Path(sys.executable).with_name("rclone")), "--config", os.devnull, "--quiet"]
        # Else what the untimed pass has sent would be skipped.
        self.argv += ["--ignore-times"]
        # The null server's sink has nothing to be looked for before, nor to be looked at after an upload.
        self.argv += ["--s3-provider", "Other", "--s3-env-auth", "--s3-no-head", "--s3-no-check-bucket"]
        self.argv += ["--s3-endpoint", endpoint.url, "--s3-region", endpoint.region, *self.options.get("flags", ())]
        if endpoint.ca_file:
            self.argv += ["--ca-cert", endpoint.ca_file]

    @property
    def version(self) -> str:
        done = subprocess.run([self.argv[0], "version"], capture_output=True, text=True, check=True)
        return done.stdout.split("\n", 1)[0].removeprefix("rclone ")

    def fetch(self, bucket: str, keys: Sequence[str], size: int) -> int:
        target = self.directory / "fetched"
        target.mkdir()
        if len(keys) == 1:
            self._run("copyto", f":s3:{bucket}/{keys[0]}", str(target / keys[0]))
        else:
            self._run("copy", f":s3:{bucket}", str(target), *self._many(keys))
        received = sum((target / key).stat().st_size for key in keys)
        shutil.rmtree(target)
        return received

    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        if len(keys) == 1:
            # Parts in parallel by its S3 backend: its own multi-thread copy looks for the object when it is done.
            self._run("copyto", "--multi-thread-cutoff=1P", str(payload), f":s3:{bucket}/{keys[0]}")
            return
        # It copies trees: each name is another link to the one file.
        tree = self.directory / "tree"
        if not tree.exists():
            tree.mkdir()
            for key in keys:
                os.link(payload, tree / key)
        self._run("copy", str(tree), f":s3:{bucket}", *self._many(keys))

    def _many(self, keys: Sequence[str]) -> list[str]:
        names = self.directory / "names"
        names.write_text("".join(f"{key}\n" for key in keys))
        return ["--files-from", str(names), "--no-traverse", *self.options.get("many_flags", ())]

    def _run(self, *arguments: str) -> None:
        subprocess.run([*self.argv, *arguments], check=True)
