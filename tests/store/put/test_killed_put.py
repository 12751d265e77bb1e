"""A put that is killed leaves chunks that nothing needs, and never a manifest that cannot be read."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastdatastore.store.backends.local import LocalBackend
from tests.store.put import killed
from tests.store.put.stored import artifacts


@pytest.mark.parametrize("kills", [4, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_whenever_a_put_is_killed_all_manifests_can_be_read(tmp_path: Path, kills: int) -> None:
    backend = LocalBackend(tmp_path, durable=False)
    rng = random.Random(7)
    told: set[str] = set()
    for seed in range(kills):
        writer = subprocess.Popen(
            [sys.executable, "-m", killed.__name__, str(tmp_path), str(seed)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        with writer:
            told.add(writer.stdout.readline().strip())
            time.sleep(rng.random() / 2)
            writer.kill()
            # The last line may be cut short.
            told.update(line.strip() for line in writer.stdout.readlines() if line.endswith("\n"))
        found = artifacts(backend)
        assert told <= set(found)
        if seed % 20 == 19:  # or there would be no end to reading
            backend.delete([entry.name for entry in backend.list("artifacts/")])
            told.clear()
