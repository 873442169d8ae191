import pytest

from fakes.actuator_host import file_facts
from homeostat.plan import Plan, Refusal, RemoveFile, RestoreFile
from homeostat_agent.actuator.actions import free_disk_space
from homeostat_agent.actuator.actions.free_disk_space import FILES_MAX, PATHS_BYTES_MAX
from homeostat_agent.actuator.host.port import FileFacts, FolderFacts, FolderQuery, Missing, ServiceQuery
from homeostat_agent.actuator.order import Params

PARAMS = Params("cache", {"target": 50.0, "minimum_age": 60.0, "disk_used_percent": 90.0})
QUERY = FolderQuery("cache", 60.0)
KIB = 1024


def folder(*files: FileFacts, used_kib: int = 950, own_limit: bool = True, can_keep: bool = True) -> FolderFacts:
    return FolderFacts("cache", used_kib * KIB, 1000 * KIB, own_limit, can_keep, files)


def plan_on(facts: FolderFacts | Missing, params: Params = PARAMS) -> Plan | Refusal:
    return free_disk_space.plan({FolderQuery("cache", params.numbers["minimum_age"]): facts}, params)


def hundred_kib(count: int) -> list[FileFacts]:
    return [file_facts(f"f{number}.tmp", 100, number) for number in range(count)]


def test_it_needs_the_folder_with_the_files_that_are_old_enough() -> None:
    assert free_disk_space.needs(PARAMS) == (QUERY,)


def test_the_oldest_go_until_the_folder_is_below_its_target_and_can_come_back() -> None:
    files = hundred_kib(9)
    made = plan_on(folder(*files))
    assert isinstance(made, Plan)
    # 950 - 5 × 100 KiB is the first use below 50 % of 1000 KiB.
    assert made.forward == tuple(RemoveFile("cache", f"f{n}.tmp", 100 * KIB, n, keep=True) for n in range(5))
    assert made.backward == tuple(RestoreFile("cache", f"f{n}.tmp") for n in reversed(range(5)))
    assert made.findings[1] == "They go to the trash and can come back."


@pytest.mark.parametrize(("own_limit", "can_keep"), [(False, False), (False, True), (True, False)])
def test_where_moving_frees_nothing_or_is_impossible_they_go_for_good(own_limit: bool, can_keep: bool) -> None:
    made = plan_on(folder(*hundred_kib(9), own_limit=own_limit, can_keep=can_keep))
    assert isinstance(made, Plan)
    assert made.backward == ()
    assert not any(step.keep for step in made.forward if isinstance(step, RemoveFile))
    assert "for good" in made.findings[1]


def test_a_folder_below_its_target_refuses() -> None:
    assert plan_on(folder(*hundred_kib(9), used_kib=499)) == Refusal("cache is at 50 %, below the target of 50 %.")


def test_nothing_to_remove_refuses() -> None:
    assert plan_on(folder()) == Refusal("cache has no file that may be removed.")


def test_too_little_to_remove_refuses_rather_than_tries() -> None:
    made = plan_on(folder(file_facts("f.tmp", 20, 1)))
    assert made == Refusal("cache would still be at 93 % without all 1 files that may be removed.")


def test_between_limit_and_target_is_good_enough() -> None:
    made = plan_on(folder(file_facts("f.tmp", 100, 1)))
    assert isinstance(made, Plan)


def test_a_target_above_the_limit_is_taken_as_the_limit() -> None:
    high = Params("cache", {**PARAMS.numbers, "target": 99.0})
    made = plan_on(folder(*hundred_kib(9)), high)
    assert isinstance(made, Plan)
    assert len(made.forward) == 1


def test_a_plan_holds_so_many_files_and_no_more() -> None:
    files = [file_facts(f"{number}", 4, number) for number in range(FILES_MAX + 1)]
    enough = FolderFacts("cache", 950 * KIB, 1000 * KIB, own_limit=True, can_keep=True, files=tuple(files[:FILES_MAX]))
    assert isinstance(plan_on(enough), Plan)
    large = FolderFacts("cache", 99 << 20, 100 << 20, own_limit=True, can_keep=True, files=tuple(files))
    made = plan_on(large)
    assert isinstance(made, Refusal)
    assert f"the oldest {FILES_MAX} files" in made.reason


def test_a_plan_holds_so_many_bytes_of_paths_and_no_more() -> None:
    long = PATHS_BYTES_MAX // 100
    files = tuple(FileFacts("é" * (long // 2), 1, 1, number) for number in range(101))
    full = FolderFacts("cache", 99 << 20, 100 << 20, own_limit=True, can_keep=True, files=files)
    made = plan_on(full)
    assert isinstance(made, Refusal)
    assert "the oldest 100 files" in made.reason


def test_a_folder_without_a_size_refuses() -> None:
    assert isinstance(plan_on(FolderFacts("cache", 0, 0, own_limit=False)), Refusal)


def test_what_cannot_be_read_refuses() -> None:
    assert plan_on(Missing("It is gone.")) == Refusal("It is gone.")


def test_an_answer_to_another_question_is_a_bug() -> None:
    with pytest.raises(TypeError):
        free_disk_space.plan({QUERY: ServiceQuery("cache")}, PARAMS)  # type: ignore[dict-item]  # the point of it


def test_the_digest_follows_the_files_and_not_the_use() -> None:
    files = hundred_kib(9)
    made = [plan_on(folder(*files)), plan_on(folder(*files, used_kib=960)), plan_on(folder(*files[1:]))]
    first, second, third = (one.state_digest for one in made if isinstance(one, Plan))
    assert first == second != third
