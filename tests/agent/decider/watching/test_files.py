import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fakes import processes
from homeostat_agent.config import AgentConfig
from homeostat_agent.config import WatchedFile as Declared
from homeostat_agent.decider.watching import files as module
from homeostat_agent.decider.watching.checking import Verdict
from homeostat_agent.decider.watching.events import EventQueue, FileChange, FileChanged, FileRole
from homeostat_agent.decider.watching.files import FileWatch, FileWatcher, FolderWatch, declared

NOW = datetime(2027, 1, 1, tzinfo=UTC)
# A configuration is valid if it has no "bad" in it; the first line of the check's output says where.
CHECK = "import sys; text = open(sys.argv[1]).read(); print('line 1: bad'); sys.exit('bad' in text)"


@contextmanager
def watching(*files: FileWatch, folders: tuple[FolderWatch, ...] = ()) -> Iterator[tuple[FileWatcher, EventQueue]]:
    queue = EventQueue()
    watcher = FileWatcher(files, folders, queue, lambda: NOW)
    watcher.start()
    try:
        yield watcher, queue
    finally:
        watcher.stop()


def next_event(queue: EventQueue) -> tuple[FileChange, str, str]:
    event = queue.get(processes.WAIT_S)
    assert isinstance(event, FileChanged), event
    return event.change, event.name, event.detail


@pytest.fixture
def site(tmp_path: Path) -> FileWatch:
    path = tmp_path / "site.conf"
    path.write_text("good")
    return FileWatch(FileRole.WATCHED, "site", str(path))


def checked(site: FileWatch) -> FileWatch:
    return FileWatch(site.role, site.name, site.path, (sys.executable, "-c", CHECK, site.path))


def test_changed_missing_and_back(site: FileWatch) -> None:
    with watching(site) as (_, queue):
        Path(site.path).write_text("other")
        assert next_event(queue) == (FileChange.CHANGED, "site", "")
        Path(site.path).unlink()
        assert next_event(queue) == (FileChange.MISSING, "site", "")
        Path(site.path).write_text("other")
        assert next_event(queue) == (FileChange.BACK, "site", "")


def test_a_file_written_in_many_steps_is_told_once(site: FileWatch) -> None:
    with watching(site) as (_, queue):
        with Path(site.path).open("w") as file:
            for number in range(50):
                file.write(f"{number}\n")
                file.flush()
        assert next_event(queue)[0] is FileChange.CHANGED
        assert queue.get(2 * module.QUIET_S) is None


def test_an_editors_way_of_saving_is_a_change_and_no_loss(site: FileWatch, tmp_path: Path) -> None:
    with watching(site) as (_, queue):
        (tmp_path / "site.conf~").write_text("edited")
        Path(site.path).rename(tmp_path / "backup")
        (tmp_path / "site.conf~").rename(site.path)
        assert next_event(queue) == (FileChange.CHANGED, "site", "")
        assert queue.get(2 * module.QUIET_S) is None


def test_a_touch_and_the_same_content_are_no_change(site: FileWatch) -> None:
    with watching(site) as (watcher, queue):
        Path(site.path).touch()
        Path(site.path).write_text("good")
        processes.until(lambda: not watcher._touched, "the look")
        assert queue.get(2 * module.QUIET_S) is None


def test_a_file_that_is_missing_from_the_start_is_told_and_so_is_its_coming(tmp_path: Path) -> None:
    watch = FileWatch(FileRole.WATCHED, "site", str(tmp_path / "site.conf"))
    with watching(watch) as (_, queue):
        assert next_event(queue) == (FileChange.MISSING, "site", "")
        Path(watch.path).write_text("x")
        assert next_event(queue) == (FileChange.BACK, "site", "")


def test_invalid_content_is_told_with_the_first_line_of_what_its_check_says_and_so_is_its_repair(
    site: FileWatch,
) -> None:
    with watching(checked(site)) as (_, queue):
        # The check from the start may run just now, so that its verdict can come before the change is told.
        Path(site.path).write_text("bad")
        told = {next_event(queue), next_event(queue)}
        assert told == {(FileChange.CHANGED, "site", ""), (FileChange.INVALID, "site", "line 1: bad")}
        Path(site.path).write_text("good again")
        told = {next_event(queue), next_event(queue)}
        assert {change for change, _, _ in told} == {FileChange.CHANGED, FileChange.VALID}
        Path(site.path).write_text("still good")
        assert next_event(queue) == (FileChange.CHANGED, "site", "")
        assert queue.get(2 * module.QUIET_S) is None


def test_content_that_is_invalid_from_the_start_is_told(site: FileWatch) -> None:
    Path(site.path).write_text("bad")
    with watching(checked(site)) as (_, queue):
        assert next_event(queue) == (FileChange.INVALID, "site", "line 1: bad")


def test_an_invalid_file_that_went_and_came_back_is_judged_anew(site: FileWatch) -> None:
    Path(site.path).write_text("bad")
    with watching(checked(site)) as (_, queue):
        assert next_event(queue)[0] is FileChange.INVALID
        Path(site.path).unlink()
        assert next_event(queue)[0] is FileChange.MISSING
        Path(site.path).write_text("bad")
        assert next_event(queue)[0] is FileChange.BACK
        assert next_event(queue)[0] is FileChange.INVALID


def test_a_check_without_an_answer_is_no_verdict(site: FileWatch) -> None:
    watch = FileWatch(site.role, site.name, site.path, ("/none/such",))
    with watching(watch) as (_, queue):
        Path(site.path).write_text("other")
        assert next_event(queue)[0] is FileChange.CHANGED
        assert queue.get(0.3) is None


def test_the_same_verdict_is_not_told_again_and_what_is_invalid_is_asked_for_again(site: FileWatch) -> None:
    queue = EventQueue()
    watcher = FileWatcher([checked(site)], [], queue, lambda: NOW)
    watcher._judged(site.path, Verdict(False, "line 1"))
    watcher._judged(site.path, Verdict(False, "line 1"))
    watcher._judged(site.path, Verdict(None, "did not end"))
    assert [one.change for one in queue.drain() if isinstance(one, FileChanged)] == [FileChange.INVALID]
    watcher._seen[site.path] = b"x"
    watcher._ask_again()  # it is valid by now, because something it depends on was repaired
    assert next_event(queue)[0] is FileChange.VALID
    watcher.stop()


def test_a_watched_folder_tells_each_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "old.onnx").write_text("x")
    with watching(folders=(FolderWatch(FileRole.MODEL, str(tmp_path)),)) as (_, queue):
        (tmp_path / "new.onnx").write_text("y")
        assert next_event(queue) == (FileChange.CHANGED, "new.onnx", "")
        (tmp_path / "old.onnx").unlink()
        event = queue.get(processes.WAIT_S)
        assert event == FileChanged(FileRole.MODEL, "old.onnx", str(tmp_path / "old.onnx"), FileChange.MISSING, NOW)


def test_a_lost_notification_is_made_up_for_by_looking_again(site: FileWatch) -> None:
    queue = EventQueue()
    watcher = FileWatcher([site], [], queue, lambda: NOW)
    watcher._seen[site.path] = b"what was seen before the notification was lost"
    watcher._look_at_file(site.path)
    assert next_event(queue)[0] is FileChange.CHANGED
    watcher.stop()


def test_a_file_that_cannot_be_looked_at_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    watch = FileWatch(FileRole.WATCHED, "loop", str(tmp_path / "loop"))
    with watching(watch) as (watcher, queue):
        watcher._look_at_file(watch.path)
        assert queue.get(0.1) is None


def test_a_file_that_never_comes_to_rest_is_looked_at_all_the_same() -> None:
    assert module._due(10.0, 10.1) == 10.1 + module.QUIET_S
    assert module._due(10.0, 99.0) == 10.0 + module.QUIET_S_MAX


def test_all_threads_end(site: FileWatch) -> None:
    before = threading.active_count()
    with watching(checked(site)):
        pass
    FileWatcher([site], [], EventQueue(), lambda: NOW).stop()
    assert threading.active_count() == before


def test_the_configuration_itself_and_what_it_declares_are_watched(tmp_path: Path) -> None:
    config = AgentConfig(watched_file=(Declared("site", "/etc/site.conf", ("/bin/true",)),))
    assert declared(config, tmp_path / "agent.toml") == (
        FileWatch(FileRole.CONFIG, "agent.toml", str(tmp_path / "agent.toml")),
        FileWatch(FileRole.WATCHED, "site", "/etc/site.conf", ("/bin/true",)),
    )
