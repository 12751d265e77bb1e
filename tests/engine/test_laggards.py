"""Two attempts of one part."""

from __future__ import annotations

from typing import Any, cast
from unittest import mock

from fastdatastore.config import Settings
from fastdatastore.engine.driver.laggards import Laggards
from fastdatastore.engine.driver.sending import Sender
from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.request import Request


def test_a_second_attempt_that_fails_on_purpose_leaves_the_first_alone() -> None:
    job = HeadJob("bucket", "key")
    first = Request(job, "UploadPart", "PUT", "bucket", "key", body=b"x", upload_crc=3, part=1)
    second = first.double()
    job.in_flight |= {first, second}
    remote, agenda = mock.Mock(settings=Settings(inject_failures=100)), mock.Mock()
    sender = Sender(remote, mock.Mock(), cast("Any", None), agenda, mock.Mock(), mock.Mock())
    assert sender._is_struck(second, 0.0)
    agenda.later.assert_not_called()
    assert job.in_flight == {first}
    laggards = Laggards(cast("Any", None), mock.Mock(), 30.0, 0.0)
    assert not laggards.is_overtaken(first, is_answer=True, now=1.0)
