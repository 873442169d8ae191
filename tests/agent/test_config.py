from pathlib import Path

import pytest

from homeostat_agent.config import ITEMS_MAX, SOCKET_PATH_BYTES_MAX, AgentConfig, ConfigError, Probe, load

WHOLE = """
[agent]
name = "web-1"
data_dir = "/var/lib/agent"
run_dir = "/run/agent"
model_dir = "/usr/lib/models"
sample_period_s = 1
spool_bytes_max = 1048576
log_level = "debug"
metrics_listen = "127.0.0.1:9100"

[controller]
enrol = "controller.example.org:8441"
link = "[::1]:8442"
first_try_s_max = 0.5
retry_s_max = 10

[actuator]
data_dir = "/var/lib/actuator"
start = "child"
decider_uid = 1000

[labels]
role = "web"
"example.org/zone" = "a b"

[[service]]
name = "nginx"
unit = "nginx.service"
check = ["/usr/sbin/nginx", "-t"]
probe = { http = "http://127.0.0.1/healthz" }

[[service]]
name = "worker@1"
command = ["/usr/bin/worker", "--port", "1"]
pid_file = "/run/worker.pid"
working_dir = "/srv"
log_file = "/var/log/worker.log"
memory_max_mib = 64
probe = { tcp = "localhost:7001", timeout_s = 1 }

[[folder]]
name = "cache"
path = "/var/cache/app"
patterns = ["*.tmp"]
limit_mib = 10.5

[[program]]
name = "report"
executable = "/usr/bin/python3"
arguments = ["report.py"]

[[watched_file]]
name = "nginx.conf"
path = "/etc/nginx/nginx.conf"
check = ["/usr/sbin/nginx", "-t"]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return path


def test_an_empty_file_works(tmp_path: Path) -> None:
    config = load(written(tmp_path, ""))
    assert config == AgentConfig()
    assert config.store == Path("/var/lib/homeostat-agent/decider.db")
    assert config.actuator_socket == Path("/run/homeostat-agent/actuator.sock")


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    config = load(written(tmp_path, WHOLE))
    assert config.agent.sample_period_s == 1.0
    assert config.labels == {"role": "web", "example.org/zone": "a b"}
    nginx, worker = config.service
    assert (nginx.unit, nginx.check, nginx.probe) == (
        "nginx.service",
        ("/usr/sbin/nginx", "-t"),
        Probe(http="http://127.0.0.1/healthz"),
    )
    assert (worker.command[0], worker.memory_max_mib, worker.probe.timeout_s) == ("/usr/bin/worker", 64.0, 1.0)
    assert config.folder[0].patterns == ("*.tmp",)
    assert config.program[0].arguments == ("report.py",)
    assert config.watched_file[0].name == "nginx.conf"
    assert config.actuator.decider_uid == 1000
    assert config.controller.first_try_s_max == 0.5


def test_a_file_that_is_not_there_or_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"agent\.toml: no such file; `homeostat-agent enrol --help`"):
        load(tmp_path / "agent.toml")
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        load(tmp_path)


SERVICE = '[[service]]\nname = "web"\n'
GROUP = f'{SERVICE}command = ["/bin/web"]\npid_file = "/run/web.pid"\n'
FOLDER = '[[folder]]\nname = "cache"\n'
FILE = '[[watched_file]]\nname = "conf"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[agent]\nsample_period = 5", "agent.sample_period: no such setting (known here: data_dir, "),
        ("[agent]\nsample_period_s = 0.19", "agent.sample_period_s: must be from 0.2 to 3600"),
        ("[agent]\nsample_period_s = nan", "agent.sample_period_s: must be a finite number"),
        ("[agent]\nspool_bytes_max = 1048575", "agent.spool_bytes_max: must be from 1.04858e+06"),
        ('[agent]\ndata_dir = "data"', "agent.data_dir: must be an absolute path"),
        ('[agent]\nrun_dir = ""', "agent.run_dir: must be an absolute path"),
        ('[agent]\nmodel_dir = "."', "agent.model_dir: must be an absolute path"),
        (f'[agent]\nrun_dir = "/{"x" * SOCKET_PATH_BYTES_MAX}"', "agent.run_dir: is too long for a socket in it"),
        ('[agent]\nlog_level = "loud"', "agent.log_level: must be one of debug, info, warning, error"),
        ('[agent]\nmetrics_listen = "9100"', "agent.metrics_listen: must be host:port"),
        (f'[agent]\nname = "{"x" * 254}"', "agent.name: must have at most 253 characters"),
        ('[controller]\nlink = "host"', "controller.link: must be host:port"),
        ('[controller]\nlink = "host:0"', "controller.link: must be host:port"),
        ('[controller]\nlink = "host:65536"', "controller.link: must be host:port"),
        ('[controller]\nenrol = "https://host:1"', "controller.enrol: must be host:port"),
        ("[controller]\nfirst_try_s_max = -1", "controller.first_try_s_max: must be from 0 to 3600"),
        ("[controller]\nretry_s_max = 0", "controller.retry_s_max: must be from 1 to 3600"),
        ('[actuator]\nstart = "never"', 'actuator.start: must be "child" or "service"'),
        ('[actuator]\ndata_dir = "x"', "actuator.data_dir: must be an absolute path"),
        ("[actuator]\ndecider_uid = -2", "actuator.decider_uid: must be from -1 to"),
        ('[labels]\n"a b" = "c"', "labels.'a b': a key has letters"),
        (f'[labels]\na = "{"x" * 201}"', "labels.a: must have at most 200 characters"),
        ("[[service]]\nunit = 'a.service'", "service[0]: lacks name"),
        ('[[service]]\nname = "Web"', "service 'Web': a name has lower-case letters"),
        (SERVICE, "service 'web': needs either unit or command"),
        (f'{GROUP}unit = "web.service"', "service 'web': needs either unit or command"),
        (f'{SERVICE}unit = "web"', "full name of a systemd service, such as nginx.service"),
        (f'{SERVICE}unit = "--help.service"', "full name of a systemd service"),
        (f'{SERVICE}unit = "a.service;b.service"', "full name of a systemd service"),
        (f'{SERVICE}command = ["/bin/web"]', "a process group needs pid_file"),
        (f'{SERVICE}command = ["web"]\npid_file = "/p"', "service 'web': program to run: must be an absolute path"),
        (f'{SERVICE}command = [""]\npid_file = "/p"', "service 'web': program to run: must be an absolute path"),
        (f'{SERVICE}command = ["/bin/web"]\npid_file = "p"', "service 'web': pid_file: must be an absolute path"),
        (f'{GROUP}working_dir = "w"', "service 'web': working_dir: must be an absolute path"),
        (f'{GROUP}log_file = "l"', "service 'web': log_file: must be an absolute path"),
        (f'{GROUP}check = ["c"]', "service 'web': program to run: must be an absolute path"),
        (f"{GROUP}memory_max_mib = -1", "service 'web': memory_max_mib: must be from 0"),
        (f'{GROUP}probe = {{ tcp = "h:1", http = "http://h" }}', "probe has both tcp and http"),
        (f'{GROUP}probe = {{ tcp = "h" }}', "service 'web': probe.tcp: must be host:port"),
        (f'{GROUP}probe = {{ http = "ftp://h/" }}', "probe.http must be a URL such as"),
        (f"{GROUP}probe = {{ timeout_s = 0 }}", "service 'web': probe.timeout_s: must be from 0.05 to 60"),
        (GROUP + GROUP, "service 'web': is there twice"),
        (f'{FOLDER}path = "/c"', "folder[0]: lacks patterns"),
        (f'{FOLDER}path = "c"\npatterns = ["*"]', "folder 'cache': path: must be an absolute path"),
        (f'{FOLDER}path = "/"\npatterns = ["*"]', "must not be the root of a file system"),
        (f'{FOLDER}path = "/c/../.."\npatterns = ["*"]', "must not be the root of a file system"),
        (f'{FOLDER}path = "/c"\npatterns = []', "folder 'cache': needs a pattern"),
        (f'{FOLDER}path = "/c"\npatterns = ["a/*"]', "'a/*' is no pattern of file names"),
        (f'{FOLDER}path = "/c"\npatterns = [""]', "'' is no pattern of file names"),
        (f'{FOLDER}path = "/c"\npatterns = ["*"]\nlimit_mib = -1', "folder 'cache': limit_mib: must be from 0"),
        ('[[program]]\nname = "p"', "program[0]: lacks executable"),
        ('[[program]]\nname = "p"\nexecutable = "p"', "program 'p': executable: must be an absolute path"),
        (f'{FILE}path = "c"', "watched_file 'conf': path: must be an absolute path"),
        (f'{FILE}path = "/c"\ncheck = ["c"]', "watched_file 'conf': program to run: must be an absolute path"),
        ("[agent", "Expected ']'"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_place(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(("count", "fits"), [(ITEMS_MAX, True), (ITEMS_MAX + 1, False)])
def test_the_number_of_objects_is_bounded(tmp_path: Path, count: int, fits: bool) -> None:
    path = written(tmp_path, "".join(f'[[program]]\nname = "p{n}"\nexecutable = "/p"\n' for n in range(count)))
    if fits:
        assert len(load(path).program) == count
    else:
        with pytest.raises(ConfigError, match="program: there are 201; the limit is 200"):
            load(path)
