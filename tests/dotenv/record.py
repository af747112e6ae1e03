"""Records how the real readers understand the cases below, into readers.json beside this file.

    python tests/dotenv/record.py        # needs python-dotenv, and docker with a daemon

src/dotenv/tests.rs holds our dialects to the record, so that the tests need neither.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

CASES = [
    'A="v"', "A='v'", 'A="v" # c', "A=v # c", "A=v#c", "A=#c", "A= # c", "A=  v", "A=v   ", "A =v", "A = v",
    "  A=v", "\tA=v", "export A=v", "export  A=v", "exportA=v", "A: v", "A:v", "=v", "A", "A\nB=1", "A=", 'A=""',
    "A=''", "A=p$ss", 'A="p$ss"', "A='p$ss'", "B=1\nA=$B", "B=1\nA=${B}", "B=1\nA='${B}'", 'B=1\nA="${B}"',
    "A=${NONE}", "A=${NONE:-d}", "A=${NONE-d}", "A=${NONE:-}", "A=${NONE:-a}b}", "A=${N:x}", "A=${", "A=${}",
    "A=$$", "A=a$", "A=a$1", 'A="l1\\nl2"', "A='l1\\nl2'", "A=l1\\nl2", 'A="l1\nl2"', "A='l1\nl2'\nB=1",
    'A={"k": "v"}', "A=a b c", 'A="a" b', 'A="a"b', "A='a' 'b'", 'A="a', "A='a\nB=1", 'A="a\\"b"', "A='a\\'b'",
    'A="a\\\\"', 'A="a\\$b"', 'A="\\t\\q"', "A=1\nA=2", "#A=1", "  # c\nA=1", "\n\nA=1\n\n", "A=1\r\nB=2\r\n",
    "A=v \r\n", 'A="v"\r\n', "A-B=1", "A.B=1", "1A=1", "'A'=v", "A B=v", "A=v=w", "A==", "A=v\tx", "A=\"é\"", "É=1",
    "A=`date`", "A=$(date)", "A=v;B=w", "A=\\", "A='\\\\'", "\ufeffA=v", "A=x\u00a0", "A=a # b # c", "A='a#b'",
    "A=a #", "A=\"a\" #", "A=\"\\u0041\"", "SECRET=${{Postgres.DATABASE_URL}}", "A=${SET}", "A=${SET:-d}", "SET",
    "SET=file\nA=${SET}", "A=${EMPTY:-d}", "EMPTY", "A=v\n   \nB=w", "A=v\n\tB=w", "A=1\n=2\nB=3", "A=~/x", "A=*",
    "A=-----BEGIN KEY-----\nabc==\n-----END KEY-----", 'A="-----BEGIN KEY-----\nabc==\n-----END KEY-----"',
]

ENVIRONMENT = {"SET": "caller", "EMPTY": ""}


def python_dotenv(text: str) -> list:
    """Each binding as [line, name, value], or [line, null, null] for a line that is dropped."""
    from dotenv.parser import parse_stream
    from dotenv.variables import parse_variables

    bindings, values = [], {}
    for binding in parse_stream(io.StringIO(text)):
        blank = binding.original.string[: len(binding.original.string) - len(binding.original.string.lstrip())]
        line = binding.original.line + blank.replace("\r\n", "\n").count("\n")
        if binding.error:
            bindings.append([line, None, None])
        elif binding.key is not None:
            value = binding.value
            if value is not None:
                # As dotenv_values() does it: the file's own come first.
                known = {**ENVIRONMENT, **values}
                value = "".join(atom.resolve(known) for atom in parse_variables(value))
            values[binding.key] = value
            bindings.append([line, binding.key, value])
    return bindings


def docker(text: str) -> list | None:
    """The container's variables in order as [name, value]; None where docker refuses the file."""
    with tempfile.NamedTemporaryFile("w", newline="", suffix=".env") as file:
        file.write(text)
        file.flush()
        command = ["docker", "create", "--env-file", file.name, "startup-guard-nothing", "/nothing"]
        created = subprocess.run(
            command, capture_output=True, text=True, env={"PATH": os.environ["PATH"], **ENVIRONMENT}
        )
        if created.returncode != 0:
            assert "invalid env file" in created.stderr, created.stderr
            return None
        container = created.stdout.strip()
        shown = subprocess.check_output(["docker", "inspect", "-f", "{{json .Config.Env}}", container])
        subprocess.run(["docker", "rm", container], stdout=subprocess.DEVNULL, check=True)
        return [entry.split("=", 1) for entry in json.loads(shown) or []]


def main() -> None:
    empty = subprocess.run(["tar", "c", "--files-from", "/dev/null"], capture_output=True, check=True).stdout
    subprocess.run(
        ["docker", "import", "-", "startup-guard-nothing"], input=empty, stdout=subprocess.DEVNULL, check=True
    )
    record = {
        "python-dotenv": version("python-dotenv"),
        "docker": subprocess.check_output(["docker", "version", "-f", "{{.Client.Version}}"], text=True).strip(),
        "environment": ENVIRONMENT,
        "cases": [{"text": text, "python": python_dotenv(text), "docker": docker(text)} for text in CASES],
    }
    subprocess.run(["docker", "rmi", "startup-guard-nothing"], stdout=subprocess.DEVNULL, check=True)
    lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in record.pop("cases"))
    head = json.dumps(record)[:-1]
    target = Path(__file__).with_name("readers.json")
    target.write_text(f'{head}, "cases": [\n{lines}\n]}}\n')
    print(f"{len(CASES)} cases in {target}", file=sys.stderr)


if __name__ == "__main__":
    main()
