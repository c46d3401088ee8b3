"""Runs PostgreSQL or MariaDB from the distribution's own packages; needs no root and installs nothing.

    METADATA_PASSWORD=… python deploy/setup/databases.py postgresql --data DIR
    METADATA_PASSWORD=… python deploy/setup/databases.py mysql --data DIR --port 3306

It listens on 127.0.0.1 only, says on one line of JSON what `metadata` of a config wants to know, and stops with
Ctrl-C or SIGTERM. The data stays in DIR. For trying and for tests: a team's database has an owner and backups.
"""

import argparse
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

USER = DATABASE = "attention"
HOST = "127.0.0.1"
PASSWORD_VARIABLE = "METADATA_PASSWORD"
NOT_NEEDED = re.compile(r"lib(c6|c-|gcc|stdc|llvm|z3|elogind|newt|slang|textwrap|debian)|.*perl")
START_SECONDS = STOP_SECONDS = 60


class DatabaseError(Exception):
    """One sentence for the person at the terminal."""


def run(*command, **options):
    """Runs a command; its output is shown only when it fails."""
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-8:])
        raise DatabaseError(f"`{' '.join(map(str, command[:3]))} …` failed:\n{tail}")
    return done.stdout


def packages(kind, flags):
    """The server's packages in the running release, and the libraries that this system lacks."""
    named = ["mariadb-server-core"]
    if kind == "postgresql":
        found = re.search(r"Depends: (postgresql-(\d+))$", run("apt-cache", *flags, "depends", kind), re.MULTILINE)
        if found is None:
            raise DatabaseError("the package `postgresql` of this release does not say its version.")
        named = [found.group(1), f"postgresql-client-{found.group(2)}"]
    needed = run("apt-cache", *flags, "depends", "--recurse", "--important", *named).splitlines()
    libraries = {name for name in needed if name.startswith("lib") and not NOT_NEEDED.match(name)}
    status = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n"], stdout=subprocess.PIPE, text=True, check=True
    )
    return named + sorted(libraries - {line.split()[0] for line in status.stdout.splitlines() if "installed" in line})


def fetch(kind, cache):
    """Unpacks the packages into the cache, once.

    Returns:
        The folder that stands for `/`.
    """
    for tool in ("apt-get", "dpkg"):
        if not shutil.which(tool):
            raise DatabaseError(f"there is no `{tool}` here: Debian or Ubuntu is needed for their packages.")
    root, work = cache / kind, cache / f"{kind}.apt"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / f"{kind}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "complete").exists():
            for folder in (root, work):
                shutil.rmtree(folder, ignore_errors=True)
            for folder in (root, work / "lists/partial", work / "cache/archives/partial", work / "debs"):
                folder.mkdir(parents=True)
            options = [f"Dir::State::Lists={work / 'lists'}", f"Dir::Cache={work / 'cache'}", "APT::Sandbox::User="]
            options += ["Acquire::Languages=none", "Acquire::Retries=3", "APT::Update::Error-Mode=any"]
            flags = [part for option in options for part in ("-o", option)]
            run("apt-get", *flags, "update")
            run("apt-get", *flags, "download", *packages(kind, flags), cwd=work / "debs")
            for deb in sorted((work / "debs").glob("*.deb")):
                run("dpkg", "-x", deb, root)
            shutil.rmtree(work)
            (root / "complete").touch()
    return root


def quoted(text):
    """A password as a literal of SQL."""
    if not text.isprintable():
        raise DatabaseError(f"the password in {PASSWORD_VARIABLE} holds a character that cannot be printed.")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


class Server:
    """One server. It refuses to be root, so root hands it to nobody, with a right to pass root's own folders."""

    def __init__(self, kind, root, data, port, password):
        self.kind, self.data, self.port, self.password = kind, data, port, password
        self.cluster, self.log = data / "cluster", data / "server.log"
        self.share = root / "usr/share/mysql"
        self.bin = next(root.glob("usr/lib/postgresql/*/bin"), root / "usr/sbin")
        libraries = [str(path) for lib in ("usr/lib", "lib") for path in (root / lib).glob("*-linux-gnu")]
        self.options = {"env": {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries), "LC_ALL": "C"}, "cwd": data}
        self.drop = []
        if os.geteuid() == 0:
            rights = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup"]
            self.drop = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *rights]

    def run(self, program, *arguments, **options):
        return run(*self.drop, self.bin / program, *arguments, **{**self.options, **options})

    def own(self, path):
        """Hands a file or folder to who runs the server."""
        if self.drop:
            shutil.chown(path, "nobody")
        return path

    def secret(self, name, text):
        path = self.data / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return self.own(path)

    def prepare(self):
        """Makes the data folder, unless it is whole."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.own(self.data)
        if (self.data / "complete").exists():
            return
        shutil.rmtree(self.cluster, ignore_errors=True)
        if self.kind == "postgresql":
            file = self.secret("password", self.password)
            try:
                arguments = ("-U", USER, f"--pwfile={file}", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale")
                self.run("initdb", "-D", self.cluster, *arguments)
            finally:
                file.unlink()
        else:
            self.cluster.mkdir()
            self.own(self.cluster)
            tables = [(self.share / f"mysql_system_tables{part}.sql").read_text() for part in ("", "_data")]
            script = "\n".join(["create database mysql;", "use mysql;", *tables])
            self.run("mariadbd", *self.mariadb_options(), "--bootstrap", input=script)
        (self.data / "complete").touch()

    def mariadb_options(self):
        return ["--no-defaults", f"--datadir={self.cluster}", f"--lc-messages-dir={self.share}"]

    def start(self):
        if self.kind == "postgresql":
            command = ["postgres", "-D", self.cluster, "-h", HOST, "-p", self.port, "-k", "", "-c", "jit=off"]
        else:
            file = self.secret(
                "start.sql",
                f"create database if not exists {DATABASE};\n"
                f"create or replace user '{USER}'@'{HOST}' identified by {quoted(self.password)};\n"
                f"grant all on {DATABASE}.* to '{USER}'@'{HOST}';\n",
            )
            command = ["mariadbd", *self.mariadb_options(), f"--port={self.port}", f"--bind-address={HOST}"]
            command += ["--socket=socket", "--skip-name-resolve", f"--init-file={file}"]
        with open(self.log, "w", encoding="utf-8") as log:
            arguments = [*self.drop, str(self.bin / command[0]), *map(str, command[1:])]
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **self.options
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
                raise DatabaseError(f"the server does not start; {self.log} ends with:\n{tail}")
            time.sleep(0.1)
        if self.kind == "mysql":
            (self.data / "start.sql").unlink()

    def answers(self):
        """Whether clients are served; PostgreSQL's database is made on the way."""
        try:
            if self.kind == "postgresql":
                login = {**self.options["env"], "PGPASSWORD": self.password}
                self.run("createdb", "-h", HOST, "-p", self.port, "-U", USER, "-w", DATABASE, env=login)
                return True
            with socket.create_connection((HOST, self.port), 1) as probe:
                return bool(probe.recv(1))
        except OSError:
            return False
        except DatabaseError as error:
            if "password" in str(error):
                raise DatabaseError(
                    f"{self.data} was made with another password than {PASSWORD_VARIABLE} holds."
                ) from None
            return "already exists" in str(error)

    def stop(self):
        if getattr(self, "process", None) is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT if self.kind == "postgresql" else signal.SIGTERM)
            self.process.wait(STOP_SECONDS)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["postgresql", "mysql"], help="mysql: MariaDB, which speaks its protocol")
    parser.add_argument("--data", type=Path, required=True, help="folder of the database; made if it is not there")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument(
        "--cache", type=Path, default=base / "attention-pipeline" / "databases", help="unpacked programs"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = None
    try:
        password = os.environ.get(PASSWORD_VARIABLE)
        if not password:
            raise DatabaseError(f"the database's password is taken from {PASSWORD_VARIABLE}, which is not set.")
        root = fetch(arguments.kind, arguments.cache.absolute())
        port = arguments.port or free_port()
        server = Server(arguments.kind, root, arguments.data.absolute(), port, password)
        server.prepare()
        server.start()
        facts = {"type": arguments.kind, "host": HOST, "port": port, "user": USER, "database": DATABASE}
        print(json.dumps(facts), flush=True)
        raise DatabaseError(f"the server ended by itself ({server.process.wait()}); see {server.log}")
    except DatabaseError as error:
        print(f"databases: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        if server is not None:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
