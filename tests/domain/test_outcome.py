from domain_values import NOW, WEB

from homeostat.outcome import Ending, Outcome, RunStep


def test_there_are_five_endings() -> None:
    assert [ending.value for ending in Ending] == ["refused", "healed", "rolled-back", "unverified", "failed"]


def test_an_outcome_without_a_pack_was_the_agents_own() -> None:
    outcome = Outcome("r1", "i1", "restart", "restart_service", WEB, Ending.HEALED, "answers", NOW, NOW)
    assert (outcome.pack_id, outcome.restarts, outcome.steps) == ("", 0, ())
    assert RunStep("acting", NOW, "restarted") == RunStep("acting", NOW, "restarted")
