from fakes.decider_stage import ASK_IT, Stage, policy
from homeostat_agent.decider.health import Health, Hindrance, judge


def test_a_healthy_endpoint_has_nothing_to_say() -> None:
    assert judge((), {}) == Health("ok")


def test_what_hinders_comes_first_and_the_gravest_of_it() -> None:
    stage = Stage(policy(ASK_IT))
    stage.pack()
    hindrances = {Hindrance.MODEL: "No model.", Hindrance.STORE: "No disk."}
    assert judge(stage.pipeline.cases, hindrances) == Health("observing", "No disk.")


def test_a_repair_that_goes_on_is_named() -> None:
    stage = Stage()
    stage.crash()
    assert stage.pipeline.health == Health("healing", "service-down of service:web is being repaired.")


def test_what_waits_for_a_person_is_named() -> None:
    stage = Stage(policy(ASK_IT))
    stage.pack()
    assert stage.pipeline.health == Health("waiting", "service-down of service:web waits for a person.")


def test_what_is_open_is_counted() -> None:
    stage = Stage(policy())
    stage.crash()
    stage.host.end("db")
    stage.tick()
    assert stage.pipeline.health == Health("degraded", "service-down of service:web is open, and 1 more.")
