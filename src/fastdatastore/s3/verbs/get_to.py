"""get_into, get_file, get_files: downloads to where the caller wants them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fastdatastore.engine.job import Job
from fastdatastore.engine.sinks import BufferSink
from fastdatastore.errors import ConfigurationError, LocalFileError
from fastdatastore.s3.context import Context
from fastdatastore.s3.objects import S3Object
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.verbs.arguments import Key
from fastdatastore.s3.verbs.downloads import Downloads, Wanted, wanted_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

LocalPath: TypeAlias = "str | os.PathLike[str]"


def get_into(at: Context, key: Key, buffer: Buffer, return_missing: bool, return_info: bool) -> Steps[S3Object]:
    downloads = Downloads(at, return_info)
    results: list[S3Object] = []
    job = downloads.begin(wanted_of(at, key), BufferSink(buffer))
    yield Step([job], return_missing, lambda ended: results.append(downloads.end(ended)[1]))
    return results[0]


def get_files(
    at: Context, key_paths: Iterable[tuple[Key, LocalPath]], return_missing: bool, return_info: bool
) -> Steps[list[S3Object]]:
    rows: dict[Path, Wanted] = {}
    for key, path in key_paths:
        target = _target(path)
        if target in rows:
            raise ConfigurationError(f"two objects are to become the file {path}; give each a path of its own")
        rows[target] = wanted_of(at, key)
    downloads = Downloads(at, return_info)
    order: dict[Job, int] = {}
    results: list[S3Object | None] = [None] * len(rows)

    def begin(number: int, target: Path, wanted: Wanted) -> Job:
        job = downloads.begin(wanted, at.client.file_sink(target, make_parents=True))
        order[job] = number
        return job

    def keep(ended: Job) -> None:
        results[order.pop(ended)] = downloads.end(ended)[1]

    jobs = (begin(number, target, wanted) for number, (target, wanted) in enumerate(rows.items()))
    yield Step(jobs, return_missing, keep, len(rows))
    return [result for result in results if result is not None]


def _target(path: LocalPath) -> Path:
    """The file that is meant: links are followed, as open() does; what can be known to fail fails before a request."""
    text = os.fsdecode(path)
    if text.endswith(os.sep):
        raise LocalFileError(f"{text} names a directory; name a file in it")
    try:
        target = Path(os.path.realpath(text))
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    except OSError as error:
        raise LocalFileError(f"cannot write {text}: {error.strerror}; choose another path") from error
    except ValueError as error:
        raise LocalFileError(f"{text!r} is no path ({error}); check it") from None
    if not stat.S_ISREG(mode):
        what = "a directory; name a file in it" if stat.S_ISDIR(mode) else "no regular file; choose another path"
        raise LocalFileError(f"{text} is {what}")
    return target
