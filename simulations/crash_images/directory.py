"""Reads and writes whole directories as images hold them."""

import shutil
from pathlib import Path

from simulations.crash_images.disk import Files


def files_in(folder: Path) -> Files:
    """Return the files of a directory, without the engine's shared memory, which no crash leaves anything of."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.endswith("-shm")}


def write_files(folder: Path, files: Files) -> None:
    """Make a directory that holds these files and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
