"""What passes between a worker and the long jobs of its cluster: a file that appears asks them to stop, and one that
they touch shows that they live.

`manage.py worker` names the first in the environment of the cluster it starts; the second stands beside it. Signals
would not do, since the cluster's processes take them their own way.
"""

import os
from contextlib import suppress
from pathlib import Path

VARIABLE = "VIADUCT_STOP_FILE"


def is_asked() -> bool:
    """Whether this process's worker wants to stop: finish what is on the wire, settle, give leases back, leave."""
    path = os.environ.get(VARIABLE, "")
    return bool(path) and Path(path).exists()


def show_life() -> None:
    """Tell this process's worker, if it has one, that its cluster runs tasks."""
    if path := os.environ.get(VARIABLE, ""):
        with suppress(OSError):  # a worker that is leaving has taken its folder along
            life_of(Path(path)).touch()


def life_of(stop_file: Path) -> Path:
    """The file beside a stop file that is touched as a sign of life."""
    return stop_file.with_name("alive")
