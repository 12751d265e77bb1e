"""From a source and a target to the action and the job that moves the one to the other."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from fastdatastore.cli.places import LocalPlace, S3Place
from fastdatastore.cli.transfers import Action

if TYPE_CHECKING:
    from fastdatastore.engine.client import Client
    from fastdatastore.engine.job import Job
    from fastdatastore.engine.request import Pairs

Work = tuple[Action, "Callable[[], Job]"]


class Mover:
    """Makes the work of cp, get, put and sync."""

    def __init__(self, client: Client, options: argparse.Namespace) -> None:
        self._client = client
        self._content_type: str | None = options.content_type

    def move(
        self, source: S3Place | LocalPlace, target: S3Place | LocalPlace, size: int | None = None, version: str = ""
    ) -> Work:
        """One file or object to one other; one of the two is an object."""
        if isinstance(source, LocalPlace):
            assert isinstance(target, S3Place)
            return self._upload(source, target, size)
        if isinstance(target, LocalPlace):
            return self._download(source, target, size, version)
        return self._copy(source, target, size, version)

    def _upload(self, source: LocalPlace, target: S3Place, size: int | None) -> Work:
        def make() -> Job:
            from fastdatastore.auth.endpoint import check_key

            check_key(target.key)
            return self._client.put(target.bucket, target.key, source.path, self.headers(source.name))

        return Action("upload", str(source), str(target), size), make

    def _download(self, source: S3Place, target: LocalPlace, size: int | None, version: str) -> Work:
        def make() -> Job:
            sink = self._client.file_sink(target.path, make_parents=True)
            return self._client.get(source.bucket, source.key, sink, version_id=version)

        return Action("download", str(source), str(target), size, on_done=lambda job: _set_time(job, target)), make

    def _copy(self, source: S3Place, target: S3Place, size: int | None, version: str) -> Work:
        def make() -> Job:
            from fastdatastore.auth.endpoint import check_key
            from fastdatastore.engine.copy import CopyJob

            check_key(target.key)
            return CopyJob(
                (source.bucket, source.key, version),
                target.bucket,
                target.key,
                headers=self._client.options.storing(),
                described=(("content-type", self._content_type),) if self._content_type else (),
            )

        return Action("copy", str(source), str(target), size), make

    def headers(self, name: str) -> Pairs:
        """What describes and stores an upload that is read from a file of this name."""
        import mimetypes

        content_type = self._content_type or mimetypes.guess_type(name)[0]
        described: Pairs = (("content-type", content_type),) if content_type else ()
        return described + self._client.options.storing()


def _set_time(job: Job, target: LocalPlace) -> None:
    """The file is as old as the object, so that the next sync sees that nothing has changed."""
    from fastdatastore.errors import LocalFileError

    modified = getattr(job, "headers", {}).get("last-modified")
    if modified is None:
        return
    try:
        seconds = parsedate_to_datetime(modified).timestamp()
        os.utime(target.path, (seconds, seconds))
    except ValueError:
        return
    except OSError as error:
        raise LocalFileError(f"cannot set the time of {target}: {error.strerror}") from None
