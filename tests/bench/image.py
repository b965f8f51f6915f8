"""The image's own steps without a container engine: `make image-steps`, and a part of `.ci/run`.

Takes its commands from `deploy/Dockerfile` and `deploy/compose.yaml`, runs them in a fresh folder as a user who may
nothing, then starts web and worker where only /tmp's like can be written. Exit status 1 where a step fails.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from tests.bench.deployed import DOCKERFILE, command, health_check
from tests.running import ROOT, environment
from tests.servers import Postgres, RedisServer, free_port

USER = 10001  # the Dockerfile's
PATIENCE_SECONDS = 60


class Image:
    """A folder in the place of the image's root: /app, /venv and /build below it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = reachable_python(folder)
        self.environ = {
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            "HOME": str(folder), "TMPDIR": f"{folder}/tmp",
            "LD_LIBRARY_PATH": str(self.python.parent.parent / "lib"),
            **dict(re.findall(r"(\w+)=(\S+)", " ".join(re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)))),
        }  # fmt: skip
        self.environ["PATH"] = f"{folder}/venv/bin:{os.defpath}"

    def build(self) -> None:
        """Every COPY and RUN of the first stage."""
        for name in ("app", "build/requirements", "tmp"):
            (self.folder / name).mkdir(parents=True)
        shutil.copy(ROOT / "requirements/run.txt", self.folder / "build/requirements/run.txt")
        for name in context():
            target = self.folder / "app" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", str(USER), self.folder], check=True)
        for where, step in steps():
            print(f"  {where}: {step[:100]}", flush=True)
            subprocess.run(
                ["sh", "-euc", self.here(step)], cwd=self.here(where), env=self.environ, check=True, **self.identity()
            )
        for name in ("app", "venv"):
            subprocess.run(["chmod", "-R", "a-w", self.folder / name], check=True)

    @contextmanager
    def running(self, command: list[str], environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(command, cwd=self.folder / "app", env=environ | self.environ, **self.identity())
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)

    def once(self, command: list[str], environ: dict[str, str]) -> int:
        given = {"cwd": self.folder / "app", "env": environ | self.environ, **self.identity()}
        return subprocess.run(command, check=False, capture_output=True, **given).returncode

    def here(self, words: str) -> str:
        words = re.sub(r"^python\b", str(self.python), words)
        return re.sub(r"(?<![\w.:/])/(app|venv|build)\b", rf"{self.folder}/\1", words)

    def identity(self) -> dict[str, object]:
        return {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="viaduct-image-") as name, Postgres() as database, RedisServer() as redis:
        Path(name).chmod(0o755)
        image = Image(Path(name))
        print("The image's steps, as a user who may nothing:")
        image.build()
        before = written(image)
        missed = list(trouble(image, environment(database.url, REDIS_URL=redis.url, ENV_FILE=os.devnull)))
        missed += [f"written into the image: {path}" for path in written(image) - before]
        size = sum(path.stat().st_size for path in image.folder.rglob("*") if path.is_file()) / 1e6
    print(
        "\n".join(missed) or f"Web and worker run on a read-only image of {size:.0f} MB with Python and all packages."
    )
    return 1 if missed else 0


def trouble(image: Image, environ: dict[str, str]) -> Iterator[str]:
    """Compose's three commands; what does not work."""
    port = str(free_port())
    if image.once(command("migrate"), environ):
        yield "migrate failed"
    web, health = ([word.replace("8000", port) for word in words] for words in (command("web"), health_check()))
    with image.running(web, environ), image.running(command("worker"), environ) as worker:
        until = time.monotonic() + PATIENCE_SECONDS
        while image.once(health, environ) and time.monotonic() < until:
            time.sleep(0.2)
        if image.once(health, environ):
            yield "the web process does not answer its health check"
        ready = [word.replace("healthz", "readyz") for word in health]
        while image.once(ready, environ) and time.monotonic() < until:
            time.sleep(0.2)
        if image.once(ready, environ):
            yield "the web process is not ready"
        time.sleep(2)
        if worker.poll() is not None:
            yield "the worker ended"


def steps() -> Iterator[tuple[str, str]]:
    """(folder, command) of each RUN of the first stage."""
    stage, where = DOCKERFILE.split("\nFROM ")[1].replace("\\\n", " "), "/"
    for line in stage.splitlines():
        word, _, rest = line.partition(" ")
        where = rest if word == "WORKDIR" else where
        if word == "RUN":
            yield where, rest


def context() -> list[str]:
    """What `COPY .` sees: tracked files that .dockerignore does not name."""
    ignored = [line for line in (ROOT / ".dockerignore").read_text().split() if line]
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return [name for name in tracked if not any(fnmatch(name.split("/")[0], pattern) for pattern in ignored)]


def reachable_python(folder: Path) -> Path:
    """This interpreter, copied into the folder where it stands at a place that only we may read."""
    found = Path(sys.base_prefix) / "bin" / f"python{sysconfig.get_python_version()}"
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o005 == 0o005 for parent in found.parents):
        return found
    leave_out = shutil.ignore_patterns("site-packages", "test", "__pycache__", "*.a")
    shutil.copytree(sys.base_prefix, folder / "python", symlinks=True, ignore=leave_out)
    return folder / "python/bin" / found.name


def written(image: Image) -> set[str]:
    """Files of /app and /venv with the moment of their last change."""
    return {
        f"{path} {path.stat().st_mtime_ns}" for name in ("app", "venv") for path in (image.folder / name).rglob("*")
        if path.exists()
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
