"""How a long job learns that its worker is asked to stop: a file appears.

`manage.py worker` names the file in the environment of the cluster it starts; a signal would not do, since the
cluster's processes take signals their own way.
"""

import os
from pathlib import Path

VARIABLE = "VIADUCT_STOP_FILE"


def is_asked() -> bool:
    """Whether this process's worker wants to stop: finish what is on the wire, settle, give leases back, leave."""
    path = os.environ.get(VARIABLE, "")
    return bool(path) and Path(path).exists()
