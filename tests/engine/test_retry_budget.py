from __future__ import annotations

import pytest

from fastdatastore.engine.budget import CAPACITY, RETRY_COST, ROUNDS, TIMEOUT_COST, RetryBudget


@pytest.mark.fault(40)
def test_sustained_503_empties_it_and_then_a_failure_is_final_at_once() -> None:
    budget = RetryBudget()
    retries = 0
    while budget.take():
        retries += 1
    assert retries == CAPACITY // RETRY_COST
    assert budget.take() == 0
    assert repr(budget) == f"<RetryBudget [0 of {CAPACITY} tokens]>"


def test_a_timeout_costs_more() -> None:
    budget = RetryBudget()
    assert budget.take(timed_out=True) == TIMEOUT_COST
    assert budget.tokens == CAPACITY - TIMEOUT_COST


def test_a_retry_that_succeeds_gives_back_what_it_took() -> None:
    budget = RetryBudget()
    budget.give_back(budget.take(timed_out=True))
    assert budget.tokens == CAPACITY


def test_successes_fill_it_again_but_never_beyond_its_capacity() -> None:
    budget = RetryBudget()
    while budget.take():
        pass
    budget.give_back(RETRY_COST - 1)
    assert budget.take() == 0
    budget.give_back()
    assert budget.take() == RETRY_COST
    budget.give_back(10 * CAPACITY)
    assert budget.tokens == CAPACITY


def test_a_server_that_fails_one_request_in_ten_is_tried_again_for_ever() -> None:
    budget = RetryBudget()
    for number in range(100_000):
        if number % 10 == 0:
            assert budget.take()
        else:
            budget.give_back()


def test_a_server_that_fails_every_second_request_is_not() -> None:
    budget = RetryBudget()
    refused = 0
    for _ in range(1_000):
        refused += budget.take() == 0
        budget.give_back()
    assert refused > 700


def test_one_burst_to_a_wide_batch_does_not_empty_it() -> None:
    budget = RetryBudget()
    budget.widen(165)
    for _ in range(165 * ROUNDS):
        assert budget.take()
    assert not budget.take()
    budget.widen(10)
    assert budget.tokens == 0, "it never shrinks, and widening is no refill"
