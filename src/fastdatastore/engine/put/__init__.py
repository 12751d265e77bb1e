"""Uploads: one PutObject, or the multipart upload of what is larger or of unknown length, begun or resumed."""

from fastdatastore.engine.put.condition import Condition
from fastdatastore.engine.put.job import PutJob, PutStreamJob

__all__ = ["Condition", "PutJob", "PutStreamJob"]
