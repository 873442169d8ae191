from homeostat.policy import Level
from homeostat_controller.cli.policy_template import TEMPLATE
from homeostat_controller.policies.document import compile_policy


def test_what_a_person_starts_from_is_valid_and_acts_on_nothing_alone() -> None:
    compiled = compile_policy(TEMPLATE.replace("NAME", "web-tier"))
    assert compiled.problems == ()
    assert compiled.policy is not None
    assert compiled.policy.name == "web-tier"
    assert all(rule.delegation.level <= Level.ASK for rule in compiled.policy.rules)
