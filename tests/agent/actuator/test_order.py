import pytest

from fakes.actuator_rig import policy
from homeostat.catalogue import ACTIONS
from homeostat.playbook import Playbook
from homeostat.policy import Threshold
from homeostat_agent.actuator.order import numbers


def test_the_playbook_s_parameters_and_the_policy_s_thresholds_stand_together() -> None:
    found = numbers(Playbook("clean", "free_disk_space", {"target": 30.0}), policy())
    assert found == {"target": 30.0, "minimum_age": 60.0, "cpu_runaway_percent": 90.0, "disk_used_percent": 90.0}


def test_a_threshold_of_the_policy_counts_before_the_catalogue_s() -> None:
    tuned = policy(thresholds={"cpu_runaway_percent": Threshold("cpu_runaway_percent", 55.0)})
    assert numbers(Playbook("end", "stop_process"), tuned)["cpu_runaway_percent"] == 55.0


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_every_action_gets_numbers(action: str) -> None:
    named = {one.name for one in ACTIONS[action].parameters}
    assert named < set(numbers(Playbook("any", action), policy()))
