"""`fds bench` and Ctrl-C: it ends within a second and leaves nothing, whenever it comes."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer
from tests.cli.leftovers import leftovers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

# A second is promised; a machine that runs other tests beside gets some more.
_SECONDS = 5.0


@dataclass
class OnTerminal:
    """`fds` on a terminal of its own."""

    process: subprocess.Popen[bytes]
    terminal: int
    shown: bytes = b""

    @classmethod
    def start(cls, arguments: list[str], environment: dict[str, str]) -> OnTerminal:
        # The child of forkpty has the terminal as its controlling one, so that ^C becomes a signal there.
        program = (
            "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
            "import fcntl, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
            "os.execv(sys.executable, [sys.executable, '-m', 'fastdatastore.cli', *sys.argv[1:]])"
        )
        ours, its = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdin=its, stdout=its, stderr=its, env=environment
        )
        os.close(its)
        return cls(process, ours)

    def watch(self, seconds: float, until: bytes = b"\0never") -> None:
        """Reads what it shows, for so long, or until it has shown this or has ended."""
        deadline = time.monotonic() + seconds
        while until not in self.shown and (left := deadline - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                try:
                    received = os.read(self.terminal, 1 << 16)
                except OSError:  # EIO: the other side is closed
                    return
                self.shown += received

    def wait(self) -> int:
        self.watch(30.0)
        return self.process.wait(30.0)

    def press_ctrl_c(self) -> None:
        os.write(self.terminal, b"\x03")


_EMBEDDED = "bench --server embedded --size 128MiB"
_GET = "bench --server null --op get --size 1GiB --repeat 99"
_PUT = "bench --server null --op put --size 1GiB --repeat 99"

# The command, what it waits for on the screen before its clock starts, and when on that clock the key is pressed.
_MOMENTS = [
    *((_EMBEDDED, b"starting", seconds) for seconds in (0.0, 0.1, 0.4, 0.8)),
    *((_EMBEDDED, b"put 1", seconds) for seconds in (0.0, 0.05, 0.3, 0.7)),
    (_EMBEDDED, b"warming up", 0.0),
    (_EMBEDDED, b"get 1", 0.0),
    *((_GET, b"starting", seconds) for seconds in (0.0, 0.03, 0.1)),
    *((_GET, b"get 1", seconds) for seconds in (0.0, 0.15, 1.1)),
    *((_PUT, b"put 1", seconds) for seconds in (0.0, 0.2, 1.3)),
]


@pytest.mark.parametrize(("command", "shown", "seconds"), _MOMENTS)
def test_ctrl_c_leaves_nothing(
    command: str, shown: bytes, seconds: float, fds_environment: dict[str, str], short_tmp: Path
) -> None:
    name = "null" if "null" in command else "seaweedfs"
    if (why := servers.why_unavailable(name)) is not None:
        pytest.skip(why)
    fds = OnTerminal.start(command.split(), fds_environment)
    fds.watch(60.0, until=shown)
    fds.watch(seconds)
    if fds.process.poll() is not None:
        pytest.skip("this machine was done before the key was pressed")
    fds.press_ctrl_c()
    pressed = time.monotonic()
    code = fds.wait()
    assert time.monotonic() - pressed < _SECONDS
    assert leftovers(short_tmp) == []
    assert code == 130, fds.shown.decode()
    assert fds.shown.endswith(b"interrupted\r\n")
    assert b"Traceback" not in fds.shown


def test_ctrl_c_twice_leaves_nothing(fds_environment: dict[str, str], short_tmp: Path) -> None:
    fds = OnTerminal.start(["bench", "--server", "embedded", "--size", "256MiB"], fds_environment)
    fds.watch(60.0, until=b"put 1")
    fds.press_ctrl_c()
    time.sleep(0.05)
    fds.press_ctrl_c()
    assert fds.wait() == 130
    assert leftovers(short_tmp) == []
    assert b"Traceback" not in fds.shown


@pytest.mark.parametrize("shown", [b"starting", b"put 1"])
def test_sigterm_leaves_nothing(shown: bytes, fds_environment: dict[str, str], short_tmp: Path) -> None:
    fds = OnTerminal.start(["bench", "--server", "embedded", "--size", "256MiB"], fds_environment)
    fds.watch(60.0, until=shown)
    fds.process.send_signal(signal.SIGTERM)
    assert fds.wait() == 143
    assert leftovers(short_tmp) == []
    assert fds.shown.endswith(b"interrupted\r\n")


def test_sigkill_leaves_no_server(fds_environment: dict[str, str], short_tmp: Path) -> None:
    fds = OnTerminal.start(["bench", "--server", "embedded", "--size", "256MiB"], fds_environment)
    fds.watch(60.0, until=b"put 1")
    fds.process.kill()
    fds.wait()
    assert leftovers(short_tmp, seconds=5.0) == []


def test_ctrl_c_removes_what_was_made_in_a_bucket(
    fds_environment: dict[str, str], s3_server: RunningServer, bucket: str
) -> None:
    arguments = ["bench", "--bucket", bucket, "--count", "1000", "--object-size", "64KiB", "--repeat", "20"]
    fds = OnTerminal.start(arguments, fds_environment | s3_server.env())
    fds.watch(60.0, until=b"%")
    fds.watch(0.2)
    fds.press_ctrl_c()
    assert fds.wait() == 130
    with contextlib.closing(s3_server.client()) as client:
        left = client.list_objects_v2(Bucket=bucket).get("KeyCount", 0)
        uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    # A slow server may have been left with something: then that is said, and how to remove it.
    assert not left or b"aws s3 rm --recursive s3://" in fds.shown
    assert uploads == []
