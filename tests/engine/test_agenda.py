"""What a driver asks jobs for, and when it asks them no more."""

from __future__ import annotations

from fastdatastore.engine.driver.driver import Driver
from fastdatastore.engine.job import Job
from fastdatastore.engine.request import Request
from tests.support.clients import client_at


class Endless(Job):
    """Would ask for ever, as an upload that is over would begin again."""

    asked = 0

    def next_request(self) -> Request | None:
        self.asked += 1
        return Request(self, "PutObject", "PUT", self.bucket, self.key)


def test_a_job_that_is_over_is_not_asked_again() -> None:
    driver = Driver(client_at("http://127.0.0.1:9").remote)
    agenda = driver._agenda
    job = Endless("bucket", "key")
    agenda.draw_from(iter([job]))
    assert agenda.next_request(0.0, False) is not None
    job.finish()  # by its answer, before anybody has asked whether it has more
    agenda.settle(job)
    assert agenda.next_ended() is job
    assert agenda.next_request(0.0, False) is None
    assert job.asked == 1
    assert agenda.is_over
