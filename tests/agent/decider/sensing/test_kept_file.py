from pathlib import Path

from fakes import processes
from homeostat_agent.decider.sensing.kept_file import FILE_BYTES_MAX, KeptFile
from homeostat_agent.procfs import CHUNK_BYTES, parse_stat


def test_a_kept_file_reads_the_present_content_each_time(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_text("a")
    file = KeptFile(path)
    assert file.read() == b"a"
    path.write_text("bb")
    assert file.read() == b"bb"
    file.close()
    assert file.read() == b"bb"
    file.close()


def test_a_missing_file_reads_as_empty_until_it_is_there(tmp_path: Path) -> None:
    file = KeptFile(tmp_path / "later")
    assert file.read() == b""
    (tmp_path / "later").write_text("now")
    assert file.read() == b"now"
    file.close()


def test_without_reopen_the_path_is_opened_once_only(tmp_path: Path) -> None:
    file = KeptFile(tmp_path / "later", reopen=False)
    assert file.read() == b""
    (tmp_path / "later").write_text("another process of the same number")
    assert file.read() == b""


def test_a_kept_stat_of_an_ended_process_is_empty() -> None:
    with processes.running(*processes.sleeper()) as child:
        file = KeptFile(f"/proc/{child.pid}/stat", reopen=False)
        assert parse_stat(file.read()) is not None
        processes.finish(child)
        assert file.read() == b""


def test_a_long_table_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "long"
    whole = b"".join(b"%d\n" % number for number in range(40_000))
    path.write_bytes(whole)
    file = KeptFile(path)
    assert file.read() == whole
    file.close()


def test_a_table_of_the_kernel_that_comes_in_pieces_is_read_whole() -> None:
    # Every mapping of this process: far more than one piece of 4096 bytes.
    file = KeptFile("/proc/self/maps")
    found = file.read()
    file.close()
    assert len(found) > 4096
    assert found.count(b"\n") >= 50
    assert found.endswith(b"\n")


def test_a_file_that_never_ends_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(FILE_BYTES_MAX + (1 << 20))
    kept = KeptFile(path)
    assert FILE_BYTES_MAX <= len(kept.read()) <= FILE_BYTES_MAX + CHUNK_BYTES
    kept.close()


def test_a_directory_reads_as_empty(tmp_path: Path) -> None:
    assert KeptFile(tmp_path).read() == b""
