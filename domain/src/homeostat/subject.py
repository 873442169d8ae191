"""What an incident is about: one named thing on an endpoint, written `kind:name`."""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase


class SubjectKind(StrEnum):
    """The kinds of thing that can need care."""

    SERVICE = "service"
    PROCESS = "process"
    FOLDER = "folder"
    FILE = "file"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """A declared object of the endpoint, by the name that its own configuration gives it."""

    kind: SubjectKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    def matches(self, pattern: str) -> bool:
        """Say whether a shell-style pattern over `kind:name` covers this subject."""
        return fnmatchcase(str(self), pattern)


ENDPOINT = Subject(SubjectKind.ENDPOINT, "self")
