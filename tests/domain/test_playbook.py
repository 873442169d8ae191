import pytest

from homeostat.catalogue import ACTIONS
from homeostat.playbook import Playbook

END = Playbook("end", "stop_process", {"grace": 1.0})


def test_a_playbook_knows_its_action() -> None:
    assert END.spec is ACTIONS["stop_process"]
    with pytest.raises(KeyError):
        _ = Playbook("x", "reboot").spec


def test_a_parameter_is_the_playbooks_or_the_default() -> None:
    assert END.parameter("grace") == 1.0
    assert Playbook("end", "stop_process").parameter("grace") == 5.0
    with pytest.raises(KeyError):
        END.parameter("force")


def test_a_parameter_that_the_action_does_not_have_is_no_parameter() -> None:
    with pytest.raises(KeyError):
        Playbook("end", "stop_process", {"force": 1.0}).parameter("force")


def test_the_verifier_is_the_playbooks_or_the_actions_own() -> None:
    assert END.verified_by == "process_calm"
    assert Playbook("x", "stop_process", verifier="other").verified_by == "other"
