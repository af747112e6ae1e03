"""The main job for everybody to see: PostgreSQL, then the guard, which checks, migrates and becomes uvicorn.

Run by `make demo` and `make demo-broken`. All secrets are made up on the spot and thrown away.
"""

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVICE = ROOT / "examples" / "intowork-backend"
MANIFEST = ROOT / "required-vars.yaml"


def main() -> int:
    arguments = parse_arguments()
    guard = arguments.guard.resolve()
    return show_outage(guard) if arguments.broken else serve(guard, arguments.port)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--guard", type=Path, required=True, help="the binary")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--broken", action="store_true", help="show the outage instead")
    return parser.parse_args()


def serve(guard: Path, port: int) -> int:
    """Starts everything and waits for its end, which is usually Ctrl-C."""
    if is_taken(port):
        print(f"make demo: port {port} is taken; free it, or choose another: make demo PORT={port + 1}",
              file=sys.stderr)
        return 1
    stops = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: stops.append(number))
    database = subprocess.Popen([sys.executable, ROOT / "tests" / "support" / "postgres.py"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0)
    try:
        url = database.stdout.readline().strip()
        if not url:
            print("make demo: PostgreSQL did not start", file=sys.stderr)
            return 1
        # The guard gets a group of its own, so that one Ctrl-C reaches it once: from here.
        server = None if stops else subprocess.Popen(
            [guard, "run", "--manifest", MANIFEST], cwd=SERVICE, env=sound_environment(url, port), process_group=0)
        return wait_for(server, stops)
    finally:
        database.stdin.close()
        database.wait()


def wait_for(server: subprocess.Popen | None, stops: list[int]) -> int:
    """The server's own code; 0 when it was us who stopped it."""
    passed_on = 0
    while server and server.poll() is None:
        for number in stops[passed_on:]:
            server.send_signal(number)
        passed_on = len(stops)
        try:
            server.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            pass
    return 0 if stops else server.returncode


def show_outage(guard: Path) -> int:
    """A service on Railway that has none of its variables. Ends with 0 when the guard does what it should."""
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": "8000",
        "RAILWAY_PROJECT_NAME": "intowork",
        "RAILWAY_SERVICE_NAME": "backend",
        "RAILWAY_ENVIRONMENT_NAME": "production",
        # On Railway it is JSON lines, of which the log viewer shows the messages: these.
        "STARTUP_GUARD_LOG": os.environ.get("STARTUP_GUARD_LOG", "text"),
    }
    ended = subprocess.run([guard, "run", "--manifest", MANIFEST], cwd=SERVICE, env=environment)
    if ended.returncode != 78:
        print(f"make demo-broken: the guard ended with {ended.returncode} instead of 78", file=sys.stderr)
        return 1
    print("(exit code 78, and no server: as it should be)")
    return 0


def sound_environment(url: str, port: int) -> dict[str, str]:
    """What the manifest asks for, as a platform would set it."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATABASE_URL": url,
        "PORT": str(port),
        "NEXTAUTH_SECRET": secrets.token_urlsafe(32),
        "JWT_SECRET": secrets.token_urlsafe(32),
        "JWT_ALGORITHM": "HS256",
        "RESEND_API_KEY": f"re_{secrets.token_hex(12)}",
        "FROM_EMAIL": "INTOWORK <noreply@example.com>",
        "FRONTEND_URL": "http://localhost:3000",
        "ALLOWED_ORIGINS": "http://localhost:3000",
    }


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
