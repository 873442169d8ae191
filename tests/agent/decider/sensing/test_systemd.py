from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.systemd import Bus, FakeSystemd, Unit, systemd_on_a_private_bus
from homeostat_agent.decider.sensing import systemd as module
from homeostat_agent.decider.sensing.systemd import Systemd
from homeostat_agent.decider.sensing.unit_state import BusError

pytestmark = pytest.mark.dbus

World = tuple[Bus, FakeSystemd, Systemd]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with systemd_on_a_private_bus(tmp_path) as (bus, manager):
        client = Systemd(bus.address)
        yield bus, manager, client
        client.close()


def test_a_running_unit_has_a_main_process_and_a_failed_one_a_result(world: World) -> None:
    _, manager, client = world
    manager.units["web.service"] = Unit(active="active", sub="running", main_pid=77, control_group="/system.slice/web")
    manager.units["db.service"] = Unit(active="failed", sub="failed", result="oom-kill")
    found = client.states(["web.service", "db.service", "none.service"])
    web, db, none = (found[name] for name in ("web.service", "db.service", "none.service"))
    assert (web.active, web.sub, web.main_pid, web.control_group) == ("active", "running", 77, "/system.slice/web")
    assert (db.active, db.main_pid, db.result) == ("failed", 0, "oom-kill")
    assert none.load == "not-found"


def test_the_connection_is_kept(world: World) -> None:
    _, manager, client = world
    manager.units["web.service"] = Unit()
    for _ in range(3):
        client.states(["web.service"])
    assert manager.asked == ["ListUnitsByNames", "Get"] * 3


def test_an_alias_is_found_under_the_name_that_was_asked_for(world: World) -> None:
    _, manager, client = world
    manager.units["mariadb.service"] = Unit(active="active", sub="running", main_pid=5)
    manager.aliases["mysql.service"] = "mariadb.service"
    found = client.states(["mysql.service"])
    assert found["mysql.service"].main_pid == 5


def test_one_bad_name_does_not_hide_the_others(world: World) -> None:
    _, manager, client = world
    manager.units["web.service"] = Unit(active="active", sub="running", main_pid=77)
    manager.refuses = {"bad@.service"}
    assert list(client.states(["bad@.service", "web.service"])) == ["web.service"]
    assert client.states(["bad@.service"]) == {}


def test_a_bus_that_is_not_there_is_an_error_and_is_left_alone_for_a_while(tmp_path: Path) -> None:
    client = Systemd(f"unix:path={tmp_path}/none")
    with pytest.raises(BusError, match="cannot be reached"):
        client.states(["web.service"])
    with pytest.raises(BusError, match="did not answer lately"):
        client.states(["web.service"])


@pytest.mark.parametrize("address", ["", "tcp:host=1", "rubbish"])
def test_an_address_that_is_none_is_an_error(address: str) -> None:
    with pytest.raises(BusError):
        Systemd(address).states(["web.service"])


def test_a_manager_that_does_not_answer_is_an_error_within_its_bound(world: World) -> None:
    _, manager, client = world
    manager.silent = True
    with pytest.raises(BusError, match=f"no reply within {module.CALL_S:g} s"):
        client.states(["web.service"])


def test_a_bus_that_is_taken_away_is_an_error(world: World) -> None:
    bus, manager, client = world
    manager.units["web.service"] = Unit()
    client.states(["web.service"])
    bus.stop()
    with pytest.raises(BusError):
        client.states(["web.service"])
