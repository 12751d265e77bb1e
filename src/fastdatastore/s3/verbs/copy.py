"""copy: from one place to another, without the bytes coming here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastdatastore.engine.copy import CopyJob
from fastdatastore.s3.context import Context
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.stored import StoredURL
from fastdatastore.s3.verbs.arguments import checked_version
from fastdatastore.s3.verbs.put import described


def copy(
    at: Context,
    source: str,
    target: str | None,
    metadata: Mapping[str, Any] | None,
    content_type: str | None,
    version_id: str | None,
) -> Steps[StoredURL]:
    origin, place = at.root.place_anywhere(source), at.root.place(target)
    job = CopyJob(
        (origin.bucket, origin.key, checked_version(version_id)),
        place.bucket,
        place.key,
        headers=at.client.options.storing(),
        described=described(content_type, metadata),
        new_metadata=metadata is not None,
    )
    yield Step([job], moves=False)
    return StoredURL(place.url, job.version_id or None, job.etag)
