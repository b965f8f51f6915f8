"""How much memory a group of processes holds, as Linux counts it.

Asked by the worker for its heartbeat; on other systems nobody knows, and the figure is left out.
"""

import os
from contextlib import suppress
from pathlib import Path


def memory_bytes(group: int) -> int:
    """Resident bytes of this process and of all processes of the group; 0 where the system does not tell."""
    pages, own = 0, os.getpid()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            if int(entry.name) == own or os.getpgid(int(entry.name)) == group:
                pages += int((entry / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
