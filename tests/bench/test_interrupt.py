"""bench.interrupt: a transfer is in the state that is measured when it is ended, and ends by that."""

from __future__ import annotations

import pytest

from bench.interrupt import STATES, WAYS, State, measure
from fastdatastore.testing import servers


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_a_transfer_is_ended_in_each_state(state: State, how: str) -> None:
    if (why := servers.why_unavailable("null")) is not None:
        pytest.skip(why)
    assert measure(state, how) < 20  # the server's silence lasts for longer
