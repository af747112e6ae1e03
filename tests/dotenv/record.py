"""Records how the real readers understand the cases below, into readers.json beside this file.

    python tests/dotenv/record.py COMPOSE

It needs python-dotenv, docker with a daemon, and COMPOSE, the program of docker compose v2 (Debian's package
docker-compose from version 2.26 on has it as /usr/libexec/docker/cli-plugins/docker-compose; it can be unpacked without
being installed). src/dotenv/tests/readers.rs compares our dialects with the record, so that the tests need none of them.
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
    # References, as compose expands them.
    "A=a$1jg\n", "A=$1\n", "A=$-\n", "A=a$ b\n", "A=a$%b\n", "A=$$$\n", "A=$$$$SET\n", "A=$$SET\n", "A=x$$\n", "A=$SET.$SET\n",
    "A=$SET-x\n", "A=${SET}x\n", "A=$set\n", "set=1\nA=$set\n", "A=$_X9y\n", "A=$é\n", "A=${1}\n", "A=${A\n", "A=${}\n", "A=${ SET }\n",
    "A=${SET:x}\n", "A=${SET:}\n", "A=${SET:?}\n", "A=${NONE:?}\n", "A=${NONE?}\n", "A=${NONE?no}\n", "A=${EMPTY?no}\n", "A=${EMPTY:?no}\n",
    "A=${SET:+}\n", "A=${SET+}\n", "A=${SET+x}\n", "A=${NONE+x}\n", "A=${EMPTY+x}\n", "A=${EMPTY:+x}\n", "A=${NONE-}\n", "A=${EMPTY-d}\n",
    "A=${NONE:-${SET}}\n", "A=${NONE:-$SET}\n", "A=${NONE:-${NONE:-x}y}z\n", "A=${NONE:-{x}}\n", "A=${NONE:-{}}\n", "A=${NONE:-{}}x}\n",
    "A=${NONE:-{}} and ${SET}\n", "A=${NONE:-a}b}c\n", "A=${NONE:-a} ${NONE:-b}\n", "A=${SET:-${NONE:?x}}\n", "A=${SET:-${}}\n",
    "A=${SET:+${}}\n", "A=${NONE:-$$x}\n", "A=${NONE:-$1}\n", "A=${NONE:-a:-b}\n", "A=${NONE-a?b}\n", "A=${NONE:-${SET}\n", "A=${SET-a}${SET-b}\n",
    'A="${NONE:-x\ny}"\n', 'A="${SET}\n${SET}"\n', 'A="\\${SET}"\n', 'A="\\$$SET"\n', 'A="$$SET"\n', "A='$SET'\n", "A='$$'\n", 'A="a$"\n',
    'A="\\\\$SET"\n', "A=\\$SET\n", "A=\\${SET}\n", "A=${{x}}\n", "A=a${{x}}\n", "A='${{x}}'\n", "A=`$SET`\n", "A=$(SET)\n",
    # Lines as compose understands them.
    "A\n", "SET\n", "EMPTY\n", "A: v\n", "A:v\n", "A : v\n", "A: 'v'\n", "A: v # c\n", "http://u=x\n", "A:\n", "A:=v\n", "A=:v\n", "=v\n", ": v\n",
    "A B=v\n", "A B\n", "A\tB=v\n", "A=\"a\" B=b\n", 'A="a" b\n', "A='a' 'b'\n", 'A="a"b\n', 'A="a"=b\n', 'A="a" # c\nB=1\n', "A='a'# c\nB=1\n",
    "A= # c\n", "A=\t# c\n", "A=# c\n", "A=#c # d\n", "A=      # required to seed the admin\n", "A= #c\n", "A=v #\n", "A=v\t# c\n", "A=v  # c\n",
    "A='v' # it's\n", 'A=v "w"\n', "A=v'w'\n", "A=it's\n", "A=\"v\n", "A='v\nB=\"w\"\n", "A='v\nB='w'\n", "A='l1\nl2'\nB=1\n", 'A="l1\r\nl2"\r\nB=1\r\n',
    'A="\\r\\f\\a\\b\\v"\n', 'A="\\c\\d\\u0041\\x41"\n', 'A="\\0101\\07\\0400\\09"\n', 'A="\\\\n"\n', "A='\\n\\''\n", "A=\\n\\t\n", 'A="a\\\nb"\n',
    "export A=v\n", "export\tA=v\n", "export A\n", "export SET\n", "exportA=v\n", "export=v\n", "A[0]=v\n", "A.b-c=v\n", "A/b=v\n", "A+B=v\n", "9=v\n",
    "A=v\u00a0\n", "A=\u2003v\n", "\u2003A=v\n", "A=\u00e9\u4e2d\n", "A=v\x0bw\n", "#A=v\n  #B=v\nC=v\n", "A=v;#c\n", "A=\n#c\nB=\n", "A=\n\n\nB=v\n",
    # Texts of several lines.
    "A=-----BEGIN KEY-----\nabc\nabc==\n-----END KEY-----\nB=1\n", "A='-----BEGIN KEY-----\nabc==\n-----END KEY-----'\nB=1\n",
    'A={\n  "k": "v",\n  "l": [1]\n}\nB=1\n', "A='{\n  \"k\": \"v\"\n}'\nB=1\n", 'A="one\ntwo\n"\nB=1\n',
    # Values as people write them.
    "A=eohwef0ijd324g$1jgfos\n", "A=sSe$Q8YaZX4dd84\n", "A=p@ss w0rd!\n", "A=postgres://u:p%40ss@h:5432/d?sslmode=require#x\n",
    "A=smtp://a:b#c@h\n", 'A=["http://a", "http://b"]\n', "A=http://a,http://b\n", "A=*/5 * * * *\n", "A=C:\\temp\\new\n", 'A="C:\\temp\\new"\n',
    "A=$2y$10$abcdefghijk\n", "A='$2y$10$abcdefghijk'\n", 'A="$2y$10$abcdefghijk"\n', "A=a=b=c==\n", "A=<b>\n", "A=%20\n", "A=!x\n", "A=a|b&c\n",
    "A=#abc123\n", "A='#abc123'\n", "COLOR = #ff0000\n", "A=\"# c\"\n", "A=' # c'\n", "A=x#y # z\n", "A=\"unclosed # c\nB=1\n", "A=don't # c\nB=it's\n",
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


def compose(program: str, text: str) -> dict | None:
    """The container's variables; None where compose refuses the file."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "compose.yaml").write_text("services: {a: {image: a, env_file: [f]}}")
        Path(folder, "f").write_text(text, newline="")
        command = [program, "config", "--format", "json"]
        shown = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=ENVIRONMENT)
        if shown.returncode != 0:
            assert "failed to read" in shown.stderr, shown.stderr
            return None
        service = json.loads(shown.stdout)["services"]["a"]
        # `config` writes `$$` for each `$`.
        return {name: value.replace("$$", "$") for name, value in (service.get("environment") or {}).items()}


def main(program: str) -> None:
    empty = subprocess.run(["tar", "c", "--files-from", "/dev/null"], capture_output=True, check=True).stdout
    subprocess.run(
        ["docker", "import", "-", "startup-guard-nothing"], input=empty, stdout=subprocess.DEVNULL, check=True
    )
    record = {
        "python-dotenv": version("python-dotenv"),
        "docker": subprocess.check_output(["docker", "version", "-f", "{{.Client.Version}}"], text=True).strip(),
        "compose": subprocess.check_output([program, "version", "--short"], text=True).strip(),
        "environment": ENVIRONMENT,
        "cases": [
            {
                "text": text,
                "python": python_dotenv(text),
                "docker": docker(text),
                "compose": compose(program, text),
            }
            for text in CASES
        ],
    }
    subprocess.run(["docker", "rmi", "startup-guard-nothing"], stdout=subprocess.DEVNULL, check=True)
    lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in record.pop("cases"))
    head = json.dumps(record)[:-1]
    target = Path(__file__).with_name("readers.json")
    target.write_text(f'{head}, "cases": [\n{lines}\n]}}\n')
    print(f"{len(CASES)} cases in {target}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
