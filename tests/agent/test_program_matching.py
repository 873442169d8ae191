import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes import processes
from homeostat_agent.config import Program
from homeostat_agent.program_matching import Identity, Pattern, identity, in_order, pattern

TOOL = Pattern("tool", frozenset({"/usr/bin/tool"}), ("--serve",))
SCRIPT = Pattern("job", frozenset({"/opt/job"}), ("--all",), interpreters=("python3",))


def test_the_executable_and_all_arguments_in_their_order() -> None:
    assert TOOL.matches(Identity("/usr/bin/tool", ("tool", "-v", "--serve")))
    assert not TOOL.matches(Identity("/usr/bin/tool", ("tool", "-v")))
    assert not TOOL.matches(Identity("/usr/bin/other", ("/usr/bin/tool", "--serve")))


def test_another_users_process_is_known_by_its_first_argument() -> None:
    assert TOOL.matches(Identity("", ("/usr/bin/tool", "--serve")))
    assert not TOOL.matches(Identity("", ("tool", "--serve")))
    assert not TOOL.matches(Identity("", ()))


def test_the_name_of_the_program_is_no_argument_of_it() -> None:
    assert not Pattern("x", frozenset({"/bin/x"}), ("x",)).matches(Identity("/bin/x", ("x",)))


def test_a_script_is_known_behind_its_interpreter_and_nowhere_else() -> None:
    python = "/usr/bin/python3.11"
    assert SCRIPT.matches(Identity(python, (python, "/opt/job", "--all")))
    assert SCRIPT.matches(Identity(python, (python, "-u", "/opt/job", "--all")))
    assert not SCRIPT.matches(Identity(python, (python, "/opt/job")))
    assert not SCRIPT.matches(Identity(python, (python, "--all", "other", "/opt/job", "--all")))
    assert not SCRIPT.matches(Identity("/usr/bin/vim", ("vim", "/opt/job", "--all")))
    assert not SCRIPT.matches(Identity("/usr/bin/python3-edit", ("python3-edit", "/opt/job", "--all")))


def test_arguments_in_order() -> None:
    assert in_order((), ())
    assert in_order(("b", "d"), ("a", "b", "c", "d"))
    assert not in_order(("d", "b"), ("a", "b", "c", "d"))
    assert not in_order(("b", "b"), ("b",))


def test_a_declared_link_means_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"\x7fELF")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    made = pattern(Program("p", str(tmp_path / "link"), ("a",)))
    assert made.executables == {str(tmp_path / "real"), str(tmp_path / "link")}
    assert made.interpreters == ()


def test_a_scripts_interpreter_is_read_from_its_first_line(tmp_path: Path) -> None:
    def interpreters(first: bytes) -> tuple[str, ...]:
        (tmp_path / "s").write_bytes(first + b"\nrest")
        return pattern(Program("p", str(tmp_path / "s"))).interpreters

    assert interpreters(b"#!/no/python3 -u") == ("python3",)
    assert interpreters(b"#!/usr/bin/env -S no-python3 -u") == ("no-python3",)
    assert interpreters(b"#!/usr/bin/env -S A=b no-python3 -u") == ("no-python3",)
    assert interpreters(b"#! /no/sh") == ("sh",)
    (tmp_path / "link").symlink_to(tmp_path / "s")
    assert interpreters(f"#!{tmp_path}/link".encode()) == ("link", "s")
    assert interpreters(b"#!") == ()
    assert interpreters(b"#!-") == ()
    assert interpreters(b"#!/") == ()
    assert interpreters(b"just text") == ()
    assert pattern(Program("p", str(tmp_path / "none"))).interpreters == ()


def test_a_real_script_and_a_real_program(tmp_path: Path) -> None:
    script = tmp_path / "job"
    script.write_text(f"#!{sys.executable}\nimport time\ntime.sleep({processes.LIFE_S})\n")
    script.chmod(0o755)
    made = pattern(Program("job", str(script), ("--all",)))
    with processes.running(str(script), "--all") as right, processes.running(str(script), "--none") as wrong:
        processes.until(lambda: made.matches(identity(right.pid)), "the script found")
        processes.until(lambda: str(script) in identity(wrong.pid).arguments, "the other one's exec")
        assert not made.matches(identity(wrong.pid))


def test_a_program_that_was_replaced_on_the_disk_is_still_itself(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    subprocess.run(["/bin/cp", os.path.realpath("/bin/sleep"), str(tool)], check=True)
    with processes.running(str(tool), str(processes.LIFE_S)) as child:
        processes.until(lambda: identity(child.pid).executable == str(tool), "the exec")
        tool.unlink()
        assert identity(child.pid).executable == str(tool)


def test_nobody_runs_nothing() -> None:
    assert identity(2**22 + 1) == Identity("", ())


@pytest.mark.parametrize("first", ["#!/bin/sh", "#!/usr/bin/env sh"])
def test_an_interpreter_that_is_a_link_is_known_by_what_it_leads_to(tmp_path: Path, first: str) -> None:
    script = tmp_path / "job"
    script.write_text(f"{first}\nread line\n")
    script.chmod(0o755)
    made = pattern(Program("job", str(script)))
    child = subprocess.Popen((str(script),), stdin=subprocess.PIPE)
    try:
        processes.until(lambda: made.surely_matches(identity(child.pid)), "the script found")
    finally:
        child.communicate()


def test_what_a_process_says_of_itself_is_not_sure() -> None:
    assert not TOOL.surely_matches(Identity("", ("/usr/bin/tool", "--serve")))
    assert TOOL.surely_matches(Identity("/usr/bin/tool", ("tool", "--serve")))
    assert not TOOL.surely_matches(Identity("/usr/bin/other", ("/usr/bin/tool", "--serve")))


def test_long_command_lines_are_read_whole_with_their_empty_arguments() -> None:
    argv = processes.python(processes.SLEEP, "x" * 20_000, "", "a b", "")
    with processes.running(*argv) as child:
        processes.until(lambda: identity(child.pid).arguments == argv, "all arguments")
        assert identity(child.pid).executable == os.path.realpath(sys.executable)
