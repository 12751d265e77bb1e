"""S3(run=…): where a Metaflow run keeps its data."""

from __future__ import annotations

import sys
from typing import Any

from fastdatastore.errors import InvalidKey
from fastdatastore.s3 import metaflow_settings


def root_of(run: Any, bucket: str | None, prefix: str | None) -> str:
    """The s3:// URL of a run's data.

    Args:
        run: A FlowSpec, which stands for the run it is in, or a metaflow.Run.
        bucket, prefix: Instead of those of Metaflow's DATATOOLS_S3ROOT.

    Raises:
        InvalidKey: Nothing says where, or the flow does not run, or `run` is neither.
    """
    if not bucket or not prefix:
        root = metaflow_settings.datatools_root()
        if root is None:
            raise InvalidKey(
                "S3(run=…) needs to know where data is kept: set METAFLOW_DATATOOLS_S3ROOT or "
                "METAFLOW_DATASTORE_SYSROOT_S3, or give bucket and prefix"
            )
        configured_bucket, _, configured_prefix = root.removeprefix("s3://").partition("/")
        bucket, prefix = bucket or configured_bucket, prefix or configured_prefix
    return "s3://" + "/".join(part for part in (bucket, prefix.strip("/"), *_identity(run)) if part)


def _identity(run: Any) -> tuple[str, str]:
    metaflow = sys.modules.get("metaflow")  # whoever has a FlowSpec or a Run has loaded it
    if metaflow is not None and isinstance(run, metaflow.FlowSpec):
        current = metaflow.current
        if not current.is_running_flow:
            raise InvalidKey("S3(run=self) with a FlowSpec works inside of a running flow only; give a metaflow.Run")
        return current.flow_name, current.run_id
    try:
        return run.parent.id, run.id
    except AttributeError:
        raise InvalidKey(f"run must be a FlowSpec or a metaflow.Run, got {type(run).__name__}") from None
