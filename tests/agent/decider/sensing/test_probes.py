import threading
import time

from fakes import processes
from fakes.answering import listening, says, silent
from homeostat_agent.config import Probe
from homeostat_agent.decider.sensing import probes as module
from homeostat_agent.decider.sensing.probes import Probes
from homeostat_agent.probing import Answer


def answered(probes: Probes, name: str, pid: int, probe: Probe) -> Answer:
    processes.until(lambda: probes.last(name, pid, probe) is not None, f"an answer of {name}")
    found = probes.last(name, pid, probe)
    assert found is not None
    return found


def test_the_last_answer_belongs_to_one_process_and_has_an_age() -> None:
    with listening(says(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        probe = Probe(http=f"http://127.0.0.1:{port}/")
        probes = Probes()
        assert probes.last("web", 7, probe) is None
        probes.ask("web", 7, probe)
        found = answered(probes, "web", 7, probe)
        assert found.answers is True
        assert 0 <= found.age_s < 10
        assert probes.last("web", 8, probe) is None
        probes.close()


def test_an_answer_that_is_too_old_is_none() -> None:
    probe = Probe(tcp="127.0.0.1:1", timeout_s=0.1)
    probes = Probes()
    probes._answers["web"] = (7, Answer(True, ""), time.monotonic() - module.AGE_TIMEOUTS_MAX - 1)
    assert probes.last("web", 7, probe) is None


def test_services_that_hang_do_not_keep_others_or_the_asker_waiting() -> None:
    with listening(silent) as slow, listening(says(b"HTTP/1.1 200 OK\r\n\r\n")) as fast:
        probes = Probes()
        hanging = Probe(http=f"http://127.0.0.1:{slow}/", timeout_s=0.2)
        began = time.thread_time()
        for number in range(module.THREADS_MAX - 1):
            probes.ask(f"slow-{number}", 1, hanging)
        probes.ask("fast", 1, Probe(http=f"http://127.0.0.1:{fast}/"))
        assert time.thread_time() - began < 0.1
        assert answered(probes, "fast", 1, Probe()).answers is True
        assert answered(probes, "slow-0", 1, hanging).answers is False
        probes.close()


def test_a_question_that_is_open_is_not_asked_again_and_threads_are_bounded() -> None:
    with listening(silent) as port:
        probes = Probes()
        probe = Probe(http=f"http://127.0.0.1:{port}/", timeout_s=0.1)
        for _ in range(3):
            for number in range(module.THREADS_MAX + 3):
                probes.ask(str(number), 1, probe)
        assert probes._threads == module.THREADS_MAX
        assert len(probes._waiting) <= module.THREADS_MAX + 3
        processes.until(lambda: not probes._waiting, "all asked")
        probes.close()
        ours = [one for one in threading.enumerate() if one.name == "probe"]
        for one in ours:
            one.join(processes.WAIT_S)
