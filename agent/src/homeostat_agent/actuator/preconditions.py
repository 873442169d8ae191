"""May the actuator start here? Not where anyone else could exchange its configuration, its journal or its socket.

Looked at are all folders on the way to each file, under the names given and where links lead. Owners may be root, the
actuator's own user and, for the socket only, the decider's.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from homeostat_agent.config import AgentConfig


def objections(config_path: Path, config: AgentConfig) -> tuple[str, ...]:
    """Return what is too open, each as a sentence that names the folder; nothing means that all is well."""
    own = frozenset({0, os.geteuid()})
    with_decider = own | {config.actuator.decider_uid}
    places = [
        (config_path.parent, own),
        (Path(config.actuator.data_dir), own),
        (config.actuator_socket.parent, with_decider),
    ]
    # Whoever can write a pid file says which process a restart ends.
    places += [(Path(one.pid_file).parent, own) for one in config.service if one.pid_file]
    found = [too_open(folder, owners) for folder, owners in places]
    return tuple(dict.fromkeys(sentence for sentence in (_file_too_open(config_path, own), *found) if sentence))


def too_open(folder: Path, owners: frozenset[int]) -> str:
    """Return who else could exchange what lies in `folder`, or nothing."""
    for each in _way(folder):
        try:
            status = each.stat()
        except FileNotFoundError:
            continue  # it will be made, closed to others
        except OSError as error:
            return f"{each}: {error.strerror}"
        sentence = _judge(each, status, owners, is_last=each in {folder, folder.resolve()})
        if sentence:
            return sentence
    return ""


def _judge(folder: Path, status: os.stat_result, owners: frozenset[int], *, is_last: bool) -> str:
    if status.st_uid not in owners:
        return f"{folder} belongs to user {status.st_uid}, who could exchange what lies in it"
    # In a sticky folder such as /tmp nobody can move what belongs to others, but anyone can add.
    if status.st_mode & stat.S_ISVTX and not is_last:
        return ""
    if status.st_mode & stat.S_IWOTH:
        return f"{folder} is writable by everyone; chmod o-w makes it safe"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid):
        return f"{folder} is writable by group {status.st_gid}; chmod g-w makes it safe"
    return ""


def _file_too_open(path: Path, owners: frozenset[int]) -> str:
    try:
        status = path.stat()
    except OSError as error:
        return f"{path}: {error.strerror}"
    return _judge(path, status, owners, is_last=True)


def _way(folder: Path) -> Iterator[Path]:
    """Yield every folder from the root to `folder`, by its name and by where links lead."""
    seen = set()
    for end in (Path(os.path.abspath(folder)), folder.resolve()):  # noqa: PTH100  # links are to stay as they are
        for each in (*reversed(end.parents), end):
            if each not in seen:
                seen.add(each)
                yield each


def _is_private(group: int) -> bool:
    """Say whether only root or this very user is in a group, as where each user has a group of their own."""
    if group == 0:
        return True
    if group != os.getegid():
        return False
    import grp  # noqa: PLC0415  # neither is there on Windows
    import pwd  # noqa: PLC0415  # loaded only where it is used

    try:
        user, members = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return members.gr_name == user and set(members.gr_mem) <= {user}
