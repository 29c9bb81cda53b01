"""What a file needs to run here, who has what is missing, and how it is going to be started: said before it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from devenv.foreign.loading import Library

HOST, ROOT, NOTHING = "host", "root", "none"

# The kinds of `kinds.kind_of` in words.
WORDS = {
    "appimage-1": "AppImage of type 1",
    "appimage-2": "AppImage of type 2",
    "deb": "Debian package",
    "tar": "tar archive",
    "zip": "zip archive",
    "wheel": "Python wheel",
    "run": "self-extracting archive",
    "squashfs": "squashfs image",
    "iso": "ISO image",
    "windows": "program for Windows",
    "msi": "installer for Windows",
    "dos": "program for DOS",
    "dotnet": "program for .NET or Mono",
    "jar": "program for Java",
    "macos": "program for macOS",
    "rpm": "package of an RPM distribution",
    "java class": "compiled Java class",
    "compressed": "compressed file that holds no archive",
    "text": "text without an interpreter's line",
    "data": "data of no kind that devenv knows",
    "empty": "empty file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A library that is needed or opened, and is not here.

    package: who has it in the verdict's base, None if nobody, or if that could not be looked up; required: nothing starts without it; by: who asks for it
    """

    soname: str
    package: str | None
    required: bool
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer about one file or directory.

    path: what was asked about; kind: as `kinds.kind_of` has it; subject: what it is, in words
    route: "host" (as it is), "root" (in a root of `packages` of `base`), "none" (it cannot run here: `reasons` say why)
    start: the file to start, None for what is not to be started; prefix: a program to hand it to ("wine")
    libraries: of what is started, with what it brings; missing: what is not here, required first
    wanted, present: the newest symbol versions that are asked for, and what this machine's libraries define ("GLIBC": "2.38")
    features: what it does by libraries that it opens; frameworks: what it was made with; notes: advice
    beside: directories of libraries that it brings and that its run path does not lead to
    looked_up: False where the archive's indices could not be read, so that nobody knows who has what is missing
    """

    path: str
    kind: str
    subject: str
    route: str
    reasons: tuple[str, ...]
    start: str | None = None
    prefix: tuple[str, ...] = ()
    architecture: str | None = None
    libc: str = ""
    interpreter: str | None = None
    base: str | None = None
    packages: tuple[str, ...] = ()
    libraries: tuple[Library, ...] = ()
    missing: tuple[Missing, ...] = ()
    wanted: dict[str, str] = field(default_factory=dict)
    present: dict[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    looked_up: bool = True

    @property
    def unsupplied(self) -> tuple[Missing, ...]:
        """Required libraries that no package has."""
        return tuple(each for each in self.missing if each.required and each.package is None)


def verdict_json(verdict: Verdict) -> dict[str, object]:
    """For programs: the fields of Verdict, libraries and missing as objects."""
    from dataclasses import asdict

    return asdict(verdict)


def dotted(number: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in number)
