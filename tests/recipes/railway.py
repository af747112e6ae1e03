#!/usr/bin/env python3
"""A stand-in for Railway's command-line program, for the tests of the runbook.

In the folder $RAILWAY_STATE it keeps the variables of each service in `SERVICE.json` and reads the service's log from
`SERVICE.log`. It appends its own arguments to `calls`, as one JSON list a line. Like the real program it splits an
assignment at the first `=`, resolves references when it lists variables, and shows the fields of JSON logs.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path

STATE = Path(os.environ["RAILWAY_STATE"])
REFERENCE = re.compile(r"\$\{\{([^.}]+)\.([^}]+)\}\}")


def main() -> int:
    with open(STATE / "calls", "a", encoding="utf-8") as calls:
        calls.write(json.dumps(sys.argv[1:]) + "\n")
    arguments = parse_arguments()
    return arguments.command(arguments)


def parse_arguments() -> argparse.Namespace:
    """Parses the flags that the real program documents for the commands of the runbook. Any other is an error."""
    words = sys.argv[1:]
    parser = argparse.ArgumentParser(prog="railway", allow_abbrev=False)
    # Without it, the real program takes the service that the directory is linked to.
    parser.add_argument("--service", default="backend")
    if words[:2] in (["variable", "set"], ["variables", "set"]):
        parser.add_argument("--environment")
        parser.add_argument("--project")
        parser.add_argument("--stdin", action="store_true")
        parser.add_argument("--skip-deploys", action="store_true")
        parser.add_argument("variables", nargs="+")
        parser.set_defaults(command=set_variables)
        return parser.parse_args(words[2:])
    if words[0] in ("variable", "variables"):
        parser.add_argument("--kv", action="store_true", required=True)
        parser.set_defaults(command=list_variables)
    elif words[0] == "redeploy":
        # Without `--yes` it asks.
        parser.add_argument("--yes", action="store_true", required=True)
        parser.set_defaults(command=lambda _: 0)
    elif words[0] == "logs":
        # Without `--latest` it shows only the logs of a successful deployment.
        parser.add_argument("--latest", action="store_true", required=True)
        parser.add_argument("--json", action="store_true")
        parser.set_defaults(command=show_logs)
    else:
        parser.error(f"there is no command {words[0]}")
    return parser.parse_args(words[1:])


def read(service: str) -> dict[str, str]:
    file = STATE / f"{service}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def list_variables(arguments: argparse.Namespace) -> int:
    for name, value in read(arguments.service).items():
        print(f"{name}={resolved(value)}")
    return 0


def resolved(value: str) -> str:
    """The value with its references resolved; what a reference cannot be resolved to is empty."""
    return REFERENCE.sub(lambda found: resolved(read(found[1]).get(found[2], "")), value)


def set_variables(arguments: argparse.Namespace) -> int:
    variables = read(arguments.service)
    if arguments.stdin:
        (name,) = arguments.variables
        variables[name] = sys.stdin.read().removesuffix("\n")
        if not variables[name]:
            sys.exit("the value is empty")
    else:
        for assignment in arguments.variables:
            name, _, value = assignment.partition("=")
            variables[name] = value
    (STATE / f"{arguments.service}.json").write_text(json.dumps(variables), encoding="utf-8")
    return 0


def show_logs(arguments: argparse.Namespace) -> int:
    for line in (STATE / f"{arguments.service}.log").read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {"message": line, "level": "error"}
        if arguments.json:
            print(json.dumps(entry, ensure_ascii=False))
        else:
            fields = [f"{name}={value}" for name, value in entry.items() if name not in ("message", "level", "timestamp")]
            print(*(f"[{entry['level'].upper()}]" for _ in fields[:1]), entry["message"], *fields)
    return 0


if __name__ == "__main__":
    sys.exit(main())
