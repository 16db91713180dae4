"""Carries out the Dockerfile without Docker, starts the demo as its user, and segments a photo.

    python -m deploy.prove_dockerfile FOLDER [--build-arg NAME=VALUE] [--share PATH]

needs root, debootstrap and the network. A minimal Debian with its own Python stands for the base
image. Prints as JSON what each instruction adds to the disk.
"""

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

import httpx

ROOT = Path(__file__).resolve().parents[1]
START_S = 300
# What a host needs to reach its package index.
_PASSED_ON = re.compile(r"PIP_(?!NO_CACHE_DIR)\w+|SSL_CERT_FILE")


def read_instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile in order, each with its text in one line."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (name, rest)
        for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def is_sent(path: PurePath, patterns: list[str]) -> bool:
    """Whether Docker receives a file, by the patterns of .dockerignore: the last match decides."""
    names = [str(one) for one in (path, *path.parents)]
    sent = True
    for pattern in patterns:
        bare = pattern.removeprefix("!").removeprefix("**/")
        subjects = [PurePath(name).name for name in names] if "**/" in pattern else names
        if any(fnmatch.fnmatchcase(subject, bare) for subject in subjects):
            sent = pattern.startswith("!")
    return sent


def read_patterns(text: str) -> list[str]:
    """The patterns of a .dockerignore."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


class Image:
    """What the instructions make of a folder.

    Attributes:
        layers: (instruction, bytes that it added).
    """

    def __init__(self, root: Path, arguments: dict[str, str], shared: list[Path]) -> None:
        self.root = root
        self.layers: list[tuple[str, int]] = []
        self._arguments = arguments
        self._shared = shared
        self._env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root"}
        self._folder = "/"
        self._user = "0"
        self._health = self._start = ""

    def carry_out(self, name: str, text: str) -> None:
        """Carries out one instruction; SystemExit if this script does not know it."""
        if name in ("FROM", "RUN", "COPY"):
            before = 0 if name == "FROM" else used_bytes(self.root)
            self._build(name, text)
            added = used_bytes(self.root) - before
            self.layers.append((f"{name} {text}", added))
            print(f"{added / 1e6:8.1f} MB  {name} {text}", file=sys.stderr, flush=True)
        elif name not in ("VOLUME", "EXPOSE"):
            self._configure(name, text)

    def _build(self, name: str, text: str) -> None:
        if name == "FROM":
            self._make_base()
        elif name == "RUN":
            self.run(text).check_returncode()
        else:
            self._copy(*text.split())

    def _configure(self, name: str, text: str) -> None:
        match name:
            case "ENV":
                self._env |= dict(pair.split("=", 1) for pair in shlex.split(text))
            case "ARG":
                variable, _, default = text.partition("=")
                self._env[variable] = self._arguments.get(variable, default.strip('"'))
            case "WORKDIR":
                self._folder = text
                self._inside(text).mkdir(parents=True, exist_ok=True)
            case "USER":
                self._user = text
            case "HEALTHCHECK":
                self._health = shlex.join(json.loads(text.partition("CMD ")[2]))
            case "CMD":
                self._start = shlex.join(json.loads(text))
            case _:
                sys.exit(f"This script does not know the instruction {name}.")

    def run(self, command: str) -> subprocess.CompletedProcess[bytes]:
        """Runs a shell command as the current user."""
        return subprocess.run(self._chrooted(command), check=False, env=self._passed_on())

    @contextmanager
    def started(self) -> Iterator[float]:
        """Runs CMD until the health check succeeds: how many seconds that took."""
        began = time.monotonic()
        process = subprocess.Popen(self._chrooted(f"exec {self._start}"), env=self._passed_on())
        try:
            while self.run(f"{self._health} 2>/dev/null").returncode:
                if process.poll() is not None or time.monotonic() - began > START_S:
                    sys.exit("The demo did not become healthy.")
                time.sleep(1)
            yield time.monotonic() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    def _make_base(self) -> None:
        """Debian with its Python, which has pip and the name `python` as in the base image."""
        packages = "--include=ca-certificates,python3,python3-venv"
        if not (self.root / "usr" / "bin" / "python3").exists():
            command = ["debootstrap", "--variant=minbase", packages, "bookworm", str(self.root)]
            subprocess.run(command, check=True)
        for name in ("hosts", "resolv.conf"):  # as Docker does
            shutil.copy(f"/etc/{name}", self.root / "etc" / name)
        self.run("python3 -m venv --clear /usr/local && apt-get clean").check_returncode()

    def _copy(self, *paths: str) -> None:
        *sources, target = paths
        patterns = read_patterns((ROOT / ".dockerignore").read_text())
        place = self._inside(target)
        for source in (found for pattern in sources for found in ROOT.glob(pattern)):
            files = [source] if source.is_file() else sorted(source.rglob("*"))
            for file in files:
                if file.is_file() and is_sent(file.relative_to(ROOT), patterns):
                    copy = place / file.relative_to(ROOT if source.is_file() else source)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file, copy)

    def _inside(self, path: str) -> Path:
        return self.root / str(PurePath(self._folder) / path).lstrip("/")

    def _chrooted(self, command: str) -> list[str]:
        """The command in the root, in a mount namespace that ends with it."""
        mounts = [f"mount -t proc proc {self.root}/proc", f"mount --rbind /dev {self.root}/dev"]
        for path in self._shared:
            target = f"{self.root}{path}"
            mounts += [f"mkdir -p {target}", f"mount --bind {path} {target}"]
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in self._env.items())
        inner = f"cd {self._folder} && {command}"
        user = f"--userspec={self._user}:{self._user}"
        chroot = f"exec chroot {user} {self.root} env {settings} sh -c {shlex.quote(inner)}"
        return ["unshare", "--mount", "sh", "-ec", "\n".join([*mounts, chroot])]

    def _passed_on(self) -> dict[str, str]:
        passed = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
        return {"PATH": os.environ["PATH"], **passed}


def used_bytes(folder: Path) -> int:
    """What a folder takes on the disk, without what is mounted in it."""
    done = subprocess.run(["du", "-sxB1", folder], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[0])


def segment(url: str, photo: Path) -> int:
    """The area in pixels of the mask for a click at (300, 200)."""
    with httpx.Client(base_url=url, timeout=60) as http:
        (path,) = http.post("upload", files={"files": photo.open("rb")}).json()
        image = {"path": path, "meta": {"_type": "gradio.FileData"}}
        query = {"data": [image, [[300, 200, 1]], None, None, None]}
        event = http.post("call/segment", json=query).json()["event_id"]
        reply = http.get(f"call/segment/{event}").text
    answer = json.loads(reply.partition("event: complete\ndata: ")[2])[0]
    return int(answer["masks"][answer["best"]]["area"])


def main() -> None:
    """Reads the command line, and prints the sizes and the answer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the root is made")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--share", action="append", default=[], type=Path, metavar="PATH",
                        help="a folder of this machine that the root sees too")  # fmt: skip
    args = parser.parse_args()
    arguments = dict(pair.split("=", 1) for pair in args.build_arg)
    image = Image(args.folder.resolve(), arguments, args.share)
    for instruction in read_instructions((ROOT / "Dockerfile").read_text()):
        image.carry_out(*instruction)
    with image.started() as seconds:
        area = segment("http://127.0.0.1:7860/gradio_api", ROOT / "examples" / "dog.jpg")
    layers = {name: round(size / 1e6, 1) for name, size in image.layers}
    report = {"layers_mb": layers, "total_mb": round(sum(layers.values()), 1),
              "healthy_after_s": round(seconds, 1), "mask_px": area}  # fmt: skip
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
