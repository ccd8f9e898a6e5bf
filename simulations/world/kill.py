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
        self._at_commit = False
        self.killed = False

    def arm(self, moments: int) -> None:
        """Kill at one of the next moments: each statement has one before it and one after it."""
        self._countdown = moments

    def arm_at_commit(self) -> None:
        """Kill right after the next COMMIT: durable, and nobody was told."""
        self._at_commit = True

    def disarm(self) -> None:
        """Let it live."""
        self._countdown = None
        self._at_commit = False

    def step(self, committed: bool = False) -> None:
        """Stand before and after every statement; raises Killed when the time has come, and ever after."""
        if self.killed:
            raise Killed
        if committed and self._at_commit:
            self.pull()
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
