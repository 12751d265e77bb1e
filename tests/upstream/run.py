"""`python -m tests.upstream.run --checkout PATH`: Metaflow's own S3 tests, unchanged, on our S3. See README.md."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from fastdatastore.testing import servers
from tests.upstream import environment, expected, suite


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.upstream.run", description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True, help="of github.com/Netflix/metaflow")
    parser.add_argument("--server", choices=servers.NAMES, action="append", help="may be repeated (all real ones)")
    parser.add_argument("--stock", action="store_true", help="run them on Metaflow's own S3 instead, to compare")
    parser.add_argument(
        "--all-data", action="store_true", help="also what upstream leaves out for MinIO: SSE, a/b and a"
    )
    parser.add_argument("pytest", nargs="*", help="more for pytest, after --: -k get_many")
    arguments = parser.parse_args()
    python = environment.interpreter()
    good = True
    for name in arguments.server or ("seaweedfs", "minio", "ceph", "moto"):
        good &= _run(name, python, arguments)
    return 0 if good else 1


def _run(name: str, python: Path, arguments: argparse.Namespace) -> bool:
    with (
        tempfile.TemporaryDirectory(prefix="fds-upstream-") as directory,
        servers.start(name, buckets=("upstream",)) as server,
    ):
        work = Path(directory)
        where = suite.copy(arguments.checkout, work)
        report = work / "report.xml"
        command = [str(python), "-m", "pytest", "-m", "not benchmark", "-p", "no:cacheprovider", "-q", "--tb=short"]
        command += ["--timeout=900", f"--junitxml={report}", *arguments.pytest]
        if not arguments.stock:
            command += ["-p", "tests.upstream.substitute"]
        variables = environment.variables(work) | server.env() | {"METAFLOW_S3_TEST_ROOT": "s3://upstream/data/"}
        # The suite's own uploads are boto3's, whose default checksums Ceph does not know.
        variables["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"
        if not arguments.all_data:
            variables["MINIO_TEST"] = "1"
        if name in expected.NO_DEFAULT_CONTENT_TYPE:
            variables["BOTOCORE_EXPERIMENTAL__PLUGINS"] = "content_type=tests.upstream.content_type"
        subprocess.run(command, cwd=where, env=variables, check=False)
        if not report.exists():
            print(f"{name}: pytest did not get to the end")
            return False
        cannot = expected.CANNOT.get(name, {}) | ({} if arguments.all_data else expected.SKIPPED)
        return _judge(name, list(suite.outcomes(report)), cannot, selected=bool(arguments.pytest))


def _judge(name: str, found: list[suite.Outcome], cannot: dict[str, str], selected: bool) -> bool:
    """Prints the counts, and what is not as expected. Returns whether all is."""
    counts = Counter(each.outcome for each in found)
    surprises = [
        each for each in found if (each.outcome != "passed") != any(each.test.startswith(start) for start in cannot)
    ]
    print(f"{name}: " + ", ".join(f"{counts[kind]} {kind}" for kind in ("passed", "failed", "skipped")))
    for each in surprises:
        print(f"    not expected: {each.outcome} {each.test} {each.why[:300]}")
    if not found or (not selected and len(found) < expected.TESTS):
        print(f"    only {len(found)} tests ran, of {expected.TESTS}")
        return False
    return not surprises


if __name__ == "__main__":
    sys.exit(main())
