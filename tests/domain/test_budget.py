from dataclasses import replace
from datetime import timedelta

import pytest
from domain_strategies import budgets, histories
from domain_values import NOW, past
from hypothesis import given
from hypothesis import strategies as st

from homeostat.budget import History, failed, spent
from homeostat.outcome import Ending
from homeostat.policy import Budget

HOURLY = Budget(1, timedelta(hours=1))


def test_a_run_counts_for_one_period() -> None:
    assert spent(HOURLY, [past(0)], NOW) == 1
    assert spent(HOURLY, [past(59.99)], NOW) == 1
    assert spent(HOURLY, [past(60)], NOW) == 0


@pytest.mark.parametrize("ending", [None, *Ending])
def test_everything_but_a_refused_run_uses_the_budget(ending: Ending | None) -> None:
    assert spent(HOURLY, [past(1, ending)], NOW) == (ending is not Ending.REFUSED)


def test_a_run_that_a_person_approved_uses_it_too() -> None:
    assert spent(HOURLY, [replace(past(1), approved=True)], NOW) == 1


def test_a_run_in_the_future_counts() -> None:
    assert spent(HOURLY, [past(-600)], NOW) == 1


def test_what_did_not_help() -> None:
    runs = [past(1, ending) for ending in (None, *Ending)]
    assert [run.ending for run in failed(runs)] == [Ending.ROLLED_BACK, Ending.UNVERIFIED, Ending.FAILED]


@pytest.mark.parametrize("ending", list(Ending))
def test_a_run_that_was_cut_off_used_the_budget_but_says_nothing_of_the_repair(ending: Ending) -> None:
    run = replace(past(1, ending), cut_off=True)
    assert failed([run]) == ()
    assert spent(HOURLY, [run], NOW) == (ending is not Ending.REFUSED)


@given(budgets, histories, st.timedeltas(timedelta(), timedelta(days=365)))
def test_a_clock_set_back_never_refills_a_budget(budget: Budget, history: History, back: timedelta) -> None:
    assert spent(budget, history.runs, NOW - back) >= spent(budget, history.runs, NOW)


@given(budgets, histories)
def test_the_order_of_the_runs_does_not_matter(budget: Budget, history: History) -> None:
    assert spent(budget, history.runs, NOW) == spent(budget, history.runs[::-1], NOW) <= len(history.runs)
