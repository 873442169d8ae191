import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from fakes import processes
from homeostat_agent.decider.watching.events import EventQueue, WatchInterrupted, WatchResumed
from homeostat_agent.decider.watching.notifications import Notifications

NOW = datetime(2027, 1, 1, tzinfo=UTC)


@contextmanager
def notified(*files: Path, folders: tuple[Path, ...] = ()) -> Iterator[tuple[Notifications, list[str], EventQueue]]:
    touched: list[str] = []
    queue = EventQueue()
    made = Notifications(map(str, files), map(str, folders), touched.append, queue, lambda: NOW)
    made.start()
    try:
        yield made, touched, queue
    finally:
        made.stop()


def comes(touched: list[str], path: Path, act: Callable[[], object]) -> None:
    touched.clear()
    act()
    processes.until(lambda: str(path) in touched, f"{path} touched")


def test_writing_replacing_removing_and_renaming_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_text("1")
    with notified(path) as (_, touched, _queue):
        comes(touched, path, lambda: path.write_text("2"))
        (tmp_path / "new").write_text("3")
        comes(touched, path, lambda: (tmp_path / "new").replace(path))
        comes(touched, path, lambda: path.rename(tmp_path / "gone"))
        comes(touched, path, lambda: (tmp_path / "gone").rename(path))
        comes(touched, path, path.unlink)
        comes(touched, path, lambda: path.write_text("4"))


def test_neighbours_of_a_watched_file_are_not_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    with notified(path) as (_, touched, _queue):
        (tmp_path / "b.conf").write_text("x")
        path.write_text("x")
        processes.until(lambda: bool(touched), "the watched one")
        assert set(touched) == {str(path)}


def test_reading_a_file_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_text("1")
    with notified(path) as (_, touched, _queue):
        path.read_text()
        (tmp_path / "b").touch()
        comes(touched, path, lambda: path.write_text("2"))


def test_everything_directly_in_a_watched_folder_is_noticed_as_the_folder(tmp_path: Path) -> None:
    with notified(folders=(tmp_path,)) as (_, touched, _queue):
        comes(touched, tmp_path, (tmp_path / "model.onnx").touch)


def test_a_link_is_noticed_where_it_lies_and_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "real/a.conf").write_text("1")
    link = tmp_path / "etc/a.conf"
    link.symlink_to(tmp_path / "real/a.conf")
    with notified(link) as (_, touched, _queue):
        comes(touched, link, lambda: (tmp_path / "real/a.conf").write_text("2"))
        comes(touched, link, link.unlink)


def test_a_folder_that_is_made_later_or_made_again_is_found_by_renew(tmp_path: Path) -> None:
    path = tmp_path / "later/a.conf"
    with notified(path) as (made, touched, queue):
        path.parent.mkdir()
        made.renew()
        comes(touched, path, lambda: path.write_text("1"))
        path.unlink()
        path.parent.rmdir()
        made.renew()
        path.parent.mkdir()
        made.renew()
        comes(touched, path, lambda: path.write_text("2"))
        assert queue.drain() == ()


def test_what_cannot_be_watched_is_said_once_until_it_can(tmp_path: Path) -> None:
    with notified() as (made, _touched, queue):
        made._say(["/etc: inotify watch limit reached"])
        made._say(["/etc: inotify watch limit reached"])
        made._say([])
        made._say([])
        told = queue.drain()
        assert [type(one) for one in told] == [WatchInterrupted, WatchResumed]


def test_all_threads_end_and_a_watch_that_never_began_has_none(tmp_path: Path) -> None:
    before = threading.active_count()
    Notifications([str(tmp_path / "a")], [], print, EventQueue(), lambda: NOW).stop()
    with notified(tmp_path / "a", tmp_path / "b/c", folders=(tmp_path,)):
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_renewing_what_never_began_does_nothing(tmp_path: Path) -> None:
    made = Notifications([str(tmp_path / "a")], [], print, EventQueue(), lambda: NOW)
    made.renew()
    assert made._scheduled == {}
