"""The process: threads, signals, the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time

import pytest

from tests.servers.nullserver_fixture import AUTHORIZED, BUCKET, executable, running


def test_several_threads_share_one_store() -> None:
    with running("store", "--threads", "3") as server:
        server.client().create_bucket(Bucket=BUCKET)
        failures: list[str] = []

        def work(name: int) -> None:
            s3 = server.client()
            for turn in range(15):
                key, shared = f"{name}/{turn}", f"shared/{turn}"
                body = os.urandom(20_000)
                for target in (key, shared):
                    s3.put_object(Bucket=BUCKET, Key=target, Body=body)
                if s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() != body:
                    failures.append(key)
                s3.get_object(Bucket=BUCKET, Key=shared)["Body"].read()  # verified against its checksum
                s3.list_objects_v2(Bucket=BUCKET)
                s3.delete_object(Bucket=BUCKET, Key=key)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert server.client().list_objects_v2(Bucket=BUCKET)["KeyCount"] == 15


def test_it_reports_the_bytes_of_bodies_moved() -> None:
    with running("store", "--report-ms", "20") as server:
        s3 = server.client(request_checksum_calculation="when_required")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="k", Body=bytes(100_000))
        for _ in range(2):
            s3.get_object(Bucket=BUCKET, Key="k")["Body"].read()
        assert server.process.stdout
        deadline, moved = time.monotonic() + 10, [0, 0]
        while moved != [200_000, 100_000] and time.monotonic() < deadline:
            word, moment, *counts = server.process.stdout.readline().split()
            moved = [int(count) for count in counts]
            assert word == "moved"
            assert abs(float(moment) - time.monotonic()) < 10
        assert moved == [200_000, 100_000]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_clients_connected(number: signal.Signals) -> None:
    with running("fixed") as server, server.connect() as connection:
        connection.sendall(f"GET /b/k HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}\r\n".encode())
        connection.recv(10)
        server.process.send_signal(number)
        assert server.process.wait(5) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--mode other",
        "--mode",
        "--mode fixed --port 70000",
        "--mode fixed --host 0.0.0.0",
        "--mode fixed --cert x",
        "--mode fixed --host example.org",
        "--mode fixed --what 1",
        "--mode fixed --threads 0",
        "--mode fixed --object-size -1",
        "--mode fixed --cert /nonexistent --key /nonexistent",
        "--mode fixed --first-byte-ms inf",
        "--mode fixed --down-mb-per-s 1.2.3",
        "--mode fixed --link-gbps -1",
        "--mode fixed --up-mb-per-s 0x10",
        "--mode fixed --fail-percent 101",
        "--mode fixed --idle-close-ms",
        "--mode fixed --report-ms 0",
    ],
)
def test_bad_options_are_one_sentence_and_status_2(arguments: str) -> None:
    done = subprocess.run([executable(), *arguments.split()], capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("fds-nullserver: ")


def test_help_says_that_signatures_are_not_verified() -> None:
    done = subprocess.run([executable(), "--help"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0
    assert "SIGNATURES ARE NOT VERIFIED" in done.stdout
