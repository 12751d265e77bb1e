"""What only the portable plane could leave behind: sessions of aiohttp."""

from __future__ import annotations

import gc
import sys
import warnings
import weakref

import pytest

from tests.engine.planes.caller import Caller
from tests.support.patience import comes_true
from tests.support.scripted_server import Reply, ScriptedServer, in_turn

pytest.importorskip("aiobotocore")


def test_an_endpoint_that_goes_while_its_plane_closes_leaves_no_session_open() -> None:
    from fastdatastore.engine.planes import portable

    caller = Caller(portable)
    with ScriptedServer(in_turn(Reply(200))) as server:
        held = [caller.endpoint(server.url, idle_timeout=0.0)]  # an idle connection would keep it, too
        assert caller.ask(held[0]).status == 200
        assert comes_true(lambda: sys.getrefcount(held[0]) == 2)  # the plane's thread has let go of it
        # Of several who are told of an endpoint's end the last one to ask is the first to hear: before the plane does.
        closes = weakref.ref(held[0], lambda _: caller.plane.close())
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            held.clear()
            gc.collect()
    assert closes() is None
    assert caller.plane.closed
    assert [str(warning.message) for warning in said] == []
