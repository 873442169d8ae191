"""Take old files out of a declared folder, the oldest first, until its use is below the target.

A folder with a limit of its own is relieved by moving files to the trash, from where they can come back. Where the
file system itself is full, moving frees nothing: the files are removed for good, and the plan says so.
"""

from collections.abc import Sequence

from homeostat.plan import Plan, Refusal, RemoveFile, RestoreFile
from homeostat_agent.actuator.digests import Part, facts_digest
from homeostat_agent.actuator.host.port import FactQuery, Facts, FileFacts, FolderFacts, FolderQuery, Missing
from homeostat_agent.actuator.order import Params

# A plan travels in one frame of at most 1 MiB and is read by a person: so many files and bytes of paths.
FILES_MAX = 2000
PATHS_BYTES_MAX = 320 << 10


def needs(params: Params) -> tuple[FactQuery, ...]:
    """Name the folder, with the files that are old enough."""
    return (_query(params),)


def plan(facts: Facts, params: Params) -> Plan | Refusal:
    """Plan which files go; a refusal where that would not bring the folder below its limit."""
    match facts[_query(params)]:
        case FolderFacts() as folder:
            return _plan(folder, params)
        case Missing(reason):
            return Refusal(reason)
        case other:
            raise TypeError(f"the host answered {other} to a question about a folder")


def _query(params: Params) -> FolderQuery:
    return FolderQuery(params.subject, params.numbers["minimum_age"])


def _plan(folder: FolderFacts, params: Params) -> Plan | Refusal:
    limit = params.numbers["disk_used_percent"]
    target = min(params.numbers["target"], limit)
    if folder.used_percent < target:
        return Refusal(f"{folder.name} is at {folder.used_percent:.0f} %, below the target of {target:g} %.")
    chosen = _choose(folder, target)
    freed = sum(one.disk_bytes for one in chosen)
    left = 100.0 * (folder.used_bytes - freed) / folder.limit_bytes if folder.limit_bytes else 100.0
    if left >= limit:
        return Refusal(_too_little(folder, chosen, left))
    keep = folder.own_limit and folder.can_keep
    return Plan(
        forward=tuple(RemoveFile(folder.name, one.path, one.size_bytes, one.modified_ns, keep) for one in chosen),
        backward=tuple(RestoreFile(folder.name, one.path) for one in reversed(chosen)) if keep else (),
        state_digest=facts_digest("folder", folder.name, folder.own_limit, folder.can_keep, *_identities(chosen)),
        expected_effect=f"{folder.name} is below {limit:g} % of its limit.",
        findings=tuple(_findings(folder, chosen, keep=keep)),
    )


def _choose(folder: FolderFacts, target: float) -> tuple[FileFacts, ...]:
    allowed = folder.limit_bytes * target / 100.0
    chosen: list[FileFacts] = []
    used, path_bytes = folder.used_bytes, 0
    for one in folder.files[:FILES_MAX]:
        path_bytes += len(one.path.encode())
        if used < allowed or path_bytes > PATHS_BYTES_MAX:
            break
        chosen.append(one)
        used -= one.disk_bytes
    return tuple(chosen)


def _too_little(folder: FolderFacts, chosen: Sequence[FileFacts], left: float) -> str:
    if not folder.files:
        return f"{folder.name} has no file that may be removed."
    # Without the files that one plan has no room for, the sentence would be wrong.
    which = "the oldest" if len(chosen) < len(folder.files) or not folder.listed_all else "all"
    return f"{folder.name} would still be at {left:.0f} % without {which} {len(chosen)} files that may be removed."


def _identities(files: Sequence[FileFacts]) -> list[Part]:
    return [part for one in files for part in (one.path, one.size_bytes, one.modified_ns)]


def _findings(folder: FolderFacts, chosen: Sequence[FileFacts], *, keep: bool) -> list[str]:
    mib = sum(one.disk_bytes for one in chosen) / (1 << 20)
    if keep:
        fate = "They go to the trash and can come back."
    elif folder.own_limit:
        fate = "They are removed for good: the trash is on another file system."
    else:
        fate = "They are removed for good: the file system is full, and a trash would take the same space."
    return [f"{len(chosen)} files with {mib:.1f} MiB may go.", fate]
