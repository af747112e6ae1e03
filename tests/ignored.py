"""Which tests were ignored, and why, by what the test runners have printed.

`ignored.py LOG` tells it. `ignored.py --strict LOG` also fails if a test was ignored that this machine can run: a
test may be ignored only for a need of the table below, and only while the need's probe fails.
"""

import re
import subprocess
import sys

# Programs that read recipes, completions, exports and scripts, or of which docs/migrate-from.md speaks, or that install.sh
# can run on. `.ci/run` installs most of them where it can.
TOOLS = ["zsh", "fish", "promtool", "systemd-analyze", "docker-compose", "jq", "kubectl", "node", "tini",
         "dumb-init", "gosu", "wait-for-it", "envsubst", "redis-server", "busybox", "curl", "dash", "shasum", "wget",
         "shellcheck"]

# What a machine may lack: how the reason of an ignored test begins, and a command that succeeds where the need is
# met. What anybody can install, such as strace, is not among them: `.ci/run` installs it.
NEEDS = [
    # Whoever runs the tests may not be root.
    ("becoming another user needs root", 'test "$(id -u)" -eq 0'),
    # A test that builds several releases takes too long for every change.
    ("it is part of `make soak`", 'test "${STARTUP_GUARD_SOAK-}" = 1'),
    # Most containers may make no namespaces. `ip netns add` mounts in /run.
    ("this machine gives no PID namespace", "unshare --pid --mount --fork --mount-proc true"),
    ("no network namespace can be made", "unshare --net --mount mount -t tmpfs none /run"),
    # A sandbox may let nobody trace.
    ("there is no strace to be used: it traces nothing here", "strace -o /dev/null true"),
    ("no process can be traced here", "strace -o /dev/null true"),
    ("system calls are made to fail on x86_64 only", 'test "$(uname -m)" = x86_64'),
    # An engine is a daemon of the machine, and compose comes with it.
    ("no Docker engine answers", "docker info"),
    ("no docker compose is installed", "docker compose version || docker-compose version"),
    # Stand-ins for the base images are made of Debian's packages.
    ("no base images, and no apt-get", "apt-get --version && dpkg-deb --version"),
    ("no base images, and making them needs root", 'test "$(id -u)" -eq 0'),
    # Not every toolchain has a rustup that can add a target.
    ("no Rust target for musl", 'test -d "$(rustc --print sysroot)/lib/rustlib/$(uname -m)-unknown-linux-musl"'),
    ("no Rust target for aarch64", 'test -d "$(rustc --print sysroot)/lib/rustlib/aarch64-unknown-linux-gnu"'),
    # The tools that read recipes and completions, and the programs of which docs/migrate-from.md speaks.
    *((f"there is no {tool}", f"command -v {tool}") for tool in TOOLS),
    # The clients that read what `export` prints. They need no server for it.
    ("there is no docker", "command -v docker"),
]

# `test [reason]  name ... ignored` of libtest-mimic, which aligns the names, and `test name ... ignored, reason` of Rust's
# own harness.
LINE = re.compile(r"test +(?:\[(?P<kind>.*)\] +)?(?P<name>\S+) +\.\.\. ignored(?:, (?P<reason>.*))?$")


RESULT = re.compile(r"test result: .*; (?P<count>\d+) ignored; ")


def ignored(log):
    """The ignored tests with their reasons, each once; and how many the runners have counted beyond those told."""
    tests, missed = [], 0
    for line in log:
        if match := LINE.match(line):
            tests.append((match["name"], match["kind"] or match["reason"] or "no reason is given"))
            missed -= 1
        elif match := RESULT.match(line):
            missed += int(match["count"])
    return dict.fromkeys(tests), missed


def objection(reason):
    """Why a test may not be ignored for this reason here; nothing if it may."""
    for beginning, probe in NEEDS:
        if reason.startswith(beginning):
            met = subprocess.run(["sh", "-c", probe], capture_output=True).returncode == 0
            return f"this machine has what it needs ({probe})" if met else None
    return "no test may be ignored for this reason"


def main(arguments):
    is_strict = arguments[0] == "--strict"
    with open(arguments[-1], encoding="utf-8", errors="replace") as log:
        tests, missed = ignored(log)
    if missed:
        print(f"the counts of ignored tests differ by {missed} from the lines that tell them", file=sys.stderr)
        return 1
    if not is_strict:
        print("No test was ignored." if not tests else f"Ignored tests: {len(tests)}")
        for name, reason in tests:
            print(f"  {name}: {reason}")
        return 0
    objections = [(name, reason, objection(reason)) for name, reason in tests]
    for name, reason, why in objections:
        if why:
            print(f"{name} was ignored ({reason}), but {why}", file=sys.stderr)
    return 1 if any(why for _, _, why in objections) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
