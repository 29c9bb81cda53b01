"""How far the scripts of a set are: events, from the file in which the driver notes whose turn it is."""

from __future__ import annotations

from devenv.events import Finished, Planned, Reporter, Started


class Steps:
    """Follows `path`, the driver's RUN/running. `name` makes the keys of events unique, `count` is of the calls planned.

    A script that fails is called again, and one with triggers as well: there may be more calls than were planned. So
    one is finished only when the next has started, else the last that was planned would seem to be the end.
    """

    def __init__(self, path: str, name: str, count: int, reporter: Reporter) -> None:
        self._path, self._name, self._reporter = path, name, reporter
        self._read = 0  # bytes
        self._calls = 0
        self._running: str | None = None
        reporter.event(Planned(kind="configure", count=count))

    def look(self) -> None:
        """Tell of what has begun since the last look."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._read)
                whole = file.read().rpartition(b"\n")[0]
        except FileNotFoundError:  # before the first script
            return
        if whole:
            self._read += len(whole) + 1
            for line in whole.split(b"\n"):
                self._begin(line.decode(errors="replace"))

    def _begin(self, package: str) -> None:
        self._calls += 1
        before, self._running = self._running, f"{self._name} {self._calls}"
        self._reporter.event(Started(kind="configure", key=self._running, label=package))
        self._finish(before)

    def _finish(self, key: str | None) -> None:
        if key is not None:
            self._reporter.event(Finished(key=key))

    def end(self) -> None:
        """All scripts have run."""
        self.look()
        self._finish(self._running)
