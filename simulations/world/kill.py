"""A process killed between two of its own database statements: what it had written to disk is all that is left."""

import shutil
from pathlib import Path


class Killed(BaseException):
    """The process is gone; derived from BaseException, as no code of the node may handle it."""


class KillSwitch:
    """Counts a store's database statements and kills at a chosen one, before or right after it ran.

    The directory is copied at that very moment, as a kill leaves it: the old connection then unwinds in the old
    directory, where nobody looks any more. (Reopening the same files in one process would share their locks.)
    """

    def __init__(self, directory: Path, remains: Path) -> None:
        self._directory = directory
        self._remains = remains
        self._countdown: int | None = None
        self.killed = False

    def arm(self, statements: int) -> None:
        """Kill when this many more statements have been begun."""
        self._countdown = statements

    def disarm(self) -> None:
        """Let it live."""
        self._countdown = None

    def step(self) -> None:
        """Stand before and after every statement; raises Killed when the time has come, and ever after."""
        if self.killed:
            raise Killed
        if self._countdown is None:
            return
        self._countdown -= 1
        if self._countdown <= 0:
            self.pull()
            raise Killed

    def pull(self) -> None:
        """Kill now: keep what is on disk."""
        self.killed = True
        self._remains.mkdir()
        for path in sorted(self._directory.iterdir()):
            if path.is_file() and not path.name.endswith("-shm"):
                shutil.copyfile(path, self._remains / path.name)
