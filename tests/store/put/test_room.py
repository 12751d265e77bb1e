"""Room for copies: who gets it, and who waits."""

from __future__ import annotations

import threading

import pytest

from fastdatastore.store.put.room import Room, Stopped


def test_no_more_is_taken_than_there_is() -> None:
    room = Room(10)
    assert room.try_take(6)
    assert not room.try_take(5)
    assert room.try_take(4)
    room.give(6)
    assert room.try_take(5)
    assert repr(room) == "<Room [9 of 10 bytes taken]>"


def test_what_is_larger_than_all_of_it_is_taken_alone() -> None:
    room = Room(10)
    assert room.try_take(100)
    assert not room.try_take(1)
    room.give(100)
    assert room.try_take(1)
    assert not room.try_take(100)


def test_whoever_waits_goes_on_when_there_is_room() -> None:
    room = Room(10)
    room.try_take(10)
    waiter = threading.Thread(target=lambda: room.wait_for(lambda: room.try_take(8)))
    waiter.start()
    room.give(1)
    assert waiter.is_alive()
    room.give(9)
    waiter.join(10)
    assert repr(room) == "<Room [8 of 10 bytes taken]>"


def test_nobody_waits_in_a_closed_room() -> None:
    room = Room(10)
    stopped = threading.Event()

    def wait() -> None:
        with pytest.raises(Stopped):
            room.wait_for(lambda: False)
        stopped.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    room.close()
    waiter.join(10)
    assert stopped.is_set()
    with pytest.raises(Stopped):
        room.wait_for(lambda: True)
