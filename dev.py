#!/usr/bin/env python3
"""Everything a checkout needs, from nothing but Python 3.11+: ``python3 dev.py demo | test | lint | run …``.

Makes a virtual environment in .venv the first time (and again when pyproject.toml has changed).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")

LINT = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
)


def say(text: str) -> None:
    """Progress goes to stderr: stdout belongs to what is run."""
    print(text, file=sys.stderr, flush=True)


def ready() -> None:
    """Make the environment, unless it is as pyproject.toml wants it."""
    if sys.version_info < (3, 11):
        sys.exit("dev.py: Python 3.11 or newer is needed; this is " + sys.version.split()[0])
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    mark = VENV / "made-from"
    if mark.exists() and mark.read_text() == wanted and PYTHON.exists():
        return
    say("setting up .venv (a minute or so, once) …")
    try:
        venv.create(VENV, with_pip=True, clear=True, symlinks=os.name != "nt")
    except (subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"dev.py: no virtual environment could be made ({error}); on Debian: apt-get install python3-venv")
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for args in (["--upgrade", "pip>=25.1"], ["--editable", ".", "--group", "dev"]):
        if subprocess.run([*pip, *args], cwd=ROOT, check=False).returncode:
            sys.exit("dev.py: pip could not install the packages (see above)")
    mark.write_text(wanted)


def run(*args: str) -> int:
    """Run a program of the environment, in the checkout."""
    return subprocess.run([str(BIN / args[0]), *args[1:]], cwd=ROOT, env=environment(), check=False).returncode


def become(*args: str) -> int:
    """Be that program from now on, where we are: what a terminal sends, Ctrl+Z too, reaches nobody else."""
    if os.name == "nt":
        return subprocess.run([str(BIN / args[0]), *args[1:]], env=environment(), check=False).returncode
    return os.execve(BIN / args[0], [str(BIN / args[0]), *args[1:]], environment())


def environment() -> dict[str, str]:
    """With what is in .venv before everything else."""
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}", "VIRTUAL_ENV": str(VENV)}


def main() -> int:
    """Do what the first argument says."""
    what, rest = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if what not in ("demo", "test", "lint", "run"):
        say(__doc__ or "")
        return 2
    ready()
    if what == "test":
        return run("pytest", "-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder", *rest)
    if what == "lint":
        return max(run(*line) for line in LINT)
    return become("cronsole", *(["demo", *rest] if what == "demo" else rest))


if __name__ == "__main__":
    sys.exit(main())
