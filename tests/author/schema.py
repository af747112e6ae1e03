"""Compares the schema of the manifest with the guard itself, which tests/author/schema.rs starts.

    schema.py GUARD SCHEMA DIFFERENCES SEED COUNT FOLDER

Judges manifests by the schema and by `GUARD check`: every key with every value of VALUES, COUNT random manifests, most
of them with one key changed, and the schema's own defaults and examples. DIFFERENCES is a JSON list of texts: a fault
that contains one of them is a fault that no schema can find. The schema must accept a manifest exactly if the guard
finds no other fault.

Writes one JSON object to standard output: how many manifests were accepted by both, rejected by both, or rejected by the
guard alone (`counts`), the texts of DIFFERENCES that occurred, the defaults and examples that are `unsound`, and the
manifests judged differently (`wrong`).
"""

import copy
import json
import random
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import regress
import yaml
from jsonschema import Draft7Validator, ValidationError, validators

# A YAML loader like the one of editors.


class Loader(yaml.SafeLoader):
    """Reads YAML by the core schema of YAML 1.2, as yaml-language-server does: `yes` is a text."""

    yaml_implicit_resolvers = {}


def scalar(kind, pattern, first):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{pattern})$"), list(first))


scalar("null", "~|null|Null|NULL|", ["~", "n", "N", ""])
scalar("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
scalar("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789")
scalar("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789")


def integer(loader, node):
    text = node.value
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def mapping(loader, node):
    """A mapping whose keys are texts, as in JSON."""
    return {key.value: loader.construct_object(value, deep=True) for key, value in node.value}


Loader.add_constructor("tag:yaml.org,2002:int", integer)
Loader.add_constructor("tag:yaml.org,2002:map", mapping)


def ecma_pattern(validator, pattern, instance, schema):
    """`pattern` with the regular expressions of ECMAScript, which JSON schemas have."""
    if isinstance(instance, str) and not regress.Regex(pattern).find(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


Validator = validators.extend(Draft7Validator, {"pattern": ecma_pattern})

# The manifests. A value is YAML text, a list of values, or a dictionary.

# Values of every kind. Each is right for some key and wrong for most.
VALUES = [
    "~", "true", "False", "yes", "0", "3", "-1", "32", "2.5", "0x1F", "4294967296", "x", "'1'", "''", "' '",
    "'a: b'", '"a\\nb"', '"a\\0b"', "10s", "0s", "'1.5h 2min'", "10parsecs", "DATABASE_URL", "'https://'",
    [], ["x"], ["''"], ["' '"], ["1", "true", "~"], [["x"]], [{}], ["a", "b", "c"], {}, {"A": "x"}, {"A": []}, {"A": "~"},
]

TEXTS = ["x", "1.10", "yes", "True", "-5", "'a b'", "''", '"a\\tb"', "~", "'${PORT:-8000}'", "'${TOKEN}'", "010"]
FLAGS = ["true", "false", "FALSE", "~"]
NAMES = ["A", ["A", "URL"], [], "OTHER", "X", "~"]
COUNTS = ["0", "7", "64", "0x10", "~"]
LIMITS = ["0", "-1.5", "1e3", "9", ".inf", "~"]
TIMES = ["10s", "1h30m", "'1.5h 2 min'", "500ms", "~"]
COMMANDS = [["x"], ["alembic", "upgrade", "head"], ["x", "8000", "true", "~"], ["x", "$PORT"], ["x", "'${PORT}'"]]
PLACES = ["DATABASE_URL", "OTHER", "redis:6379", "'http://auth:8080/health'", "'postgres://u:p@h/d'", "'postgres://u@h/d'"]
LIMITED = ["web", ["web"], ["web", "worker"], "~"]
SIGNALS = [prefix + name for prefix in ("", "SIG") for name in "TERM INT QUIT HUP USR1 USR2 KILL".split()]

GENERATE = {
    "format": ["base64", "hex", "base64url", "alphanumeric", "~"],
    "bytes": ["16", "32", "4096", "~"],
    "length": ["20", "22", "23", "24", "28", "32", "45", "64", "4096", "4097", "5460", "5462", "5463", "5464", "8192", "8194", "~"],
}
VARIABLE = {
    "level": ["critical", "required", "optional", "~"],
    "type": "string integer number boolean port url origin email json path duration host pem ~".split(),
    "list": ["csv", "json", "space", "~"],
    "schemes": ["https", ["https", "postgresql+psycopg"], "'a/b'", ["'a:b'"], "~"],
    "one_of": ["x", ["x", "1.10", "yes"], "~"],
    "pattern": ["^re_", "'('", "5", "~"],
    "min_length": COUNTS,
    "max_length": COUNTS,
    "min": LIMITS,
    "max": LIMITS,
    "escaped": FLAGS,
    "distinct_from": NAMES,
    "required_when": [{"MODE": "dev"}, {"MODE": ["dev", "test"]}, {"URL": "x"}, {"OTHER": "1"}, {}, "~"],
    "required_with": NAMES,
    "required_without": NAMES,
    "default": ["x", "1.10", "yes", "https://a.example", "~"],
    "value": ["'${A}'", "'postgres://${A}:${TOKEN:-x}@h'", "'${X}'", "'${A}$MODE'", "'$${A}'", "'$$${A}'", "'${A}$${'", "'${A:-${X}}'", "'${A:-$}${ '", "~"],
    "secret": FLAGS,
    "file": [*FLAGS, "X_PATH", "A", "TOKEN_FILE", "'true'", "OFF", "'a b'"],
    "not_placeholder": FLAGS,
    "shared": FLAGS,
    "generate": [GENERATE, "~"],
    "renamed_from": NAMES,
    "processes": LIMITED,
    "example": TEXTS,
    "description": TEXTS,
    "hint": TEXTS,
    "docs": TEXTS,
}
WAIT = {
    "postgres": PLACES,
    "tcp": PLACES,
    "http": PLACES,
    "status": ["401", "'200'", ["200", "401"], "2xx", "99", "600", ["~"], [], "~"],
    "command": [*COMMANDS, "~"],
    "interval": TIMES,
    "up_to_date": ["one", "two", "bare"],
    "processes": LIMITED,
    "timeout": TIMES,
}
ALEMBIC = {
    "alembic": ["DATABASE_URL", "OTHER"],
    "config": ["alembic.ini", ["alembic.ini", "pyproject.toml"], ["1", "true"], ["~"], "~"],
    "version_table": ["versions", "7", "~"],
    "version_table_schema": ["app", "~"],
    "heads": ["all", ["a@head", "b"], "7", "~"],
    "on_ahead": ["run", "skip", "fail", "~"],
    "command": [*COMMANDS, "~"],
    "timeout": TIMES,
}
ANNOUNCE = {"start": TEXTS, "done": TEXTS}
LOCK = {"postgres": ["DATABASE_URL", "OTHER"], "timeout": TIMES}
STEP = {
    "name": ["one", "two", "1.0", "'a b'"],
    "announce": [ANNOUNCE, "~"],
    "command": COMMANDS,
    "timeout": TIMES,
    "stop_signal": [*SIGNALS, "~"],
    "stop_grace": [*TIMES, "0", "0s"],
    "allow_failure": FLAGS,
    "retries": ["0", "10", "1000", "1001", "~"],
    "retry_delay": TIMES,
    "processes": LIMITED,
    "up_to_date": [ALEMBIC, *COMMANDS, "~"],
    "lock": [LOCK, "~"],
}
SERVER = {"announce": TEXTS, "command": [*COMMANDS, "~"], "init": FLAGS}
AUDIT = {"ignore": ["HOSTNAME", ["HOSTNAME", "OTEL_*"], "'*'", ["A_*_B"], "'A**'"]}
ROOT = {
    "version": ["1"],
    "service": ["x", "1.10", "yes", "''", "~"],
    "announce": TEXTS,
    "fail_on": ["required", "critical", "~"],
    "empty": ["keep", "unset", "~"],
    "placeholders": ["x", ["x", "1.10"], [], "~"],
    "user": ["app", "1000", "1000:1000", "':'", "''", "~"],
    "audit": [AUDIT, "~"],
    "variables": [],
    "wait_for": [],
    "steps": [],
    "server": [SERVER, "~"],
    "processes": [{"web": {"command": ["x"], "init": "true"}, "worker": "~"}, {"web": {"announce": "x"}}, "~"],
}
# Each mapping with its definition in the schema and the keys that it cannot be without.
MAPPINGS = {
    "ROOT": (ROOT, "", ["version"]),
    "AUDIT": (AUDIT, "properties/audit", ["ignore"]),
    "SERVER": (SERVER, "definitions/process", []),
    "VARIABLE": (VARIABLE, "definitions/variable", []),
    "GENERATE": (GENERATE, "definitions/variable/properties/generate", []),
    "WAIT": (WAIT, "definitions/wait", []),
    "STEP": (STEP, "definitions/step", ["name", "command"]),
    "ANNOUNCE": (ANNOUNCE, "definitions/step/properties/announce", []),
    "ALEMBIC": (ALEMBIC, "definitions/step/properties/up_to_date", ["alembic"]),
    "LOCK": (LOCK, "definitions/step/properties/lock", ["postgres"]),
}
REQUIRED = {id(grammar): required for grammar, _, required in MAPPINGS.values()}


def base():
    """A sound manifest, with the variables, steps and processes to which other values refer."""
    return {
        "version": "1",
        "variables": {
            "A": {},
            "MODE": {"one_of": ["dev", "prod"]},
            "TOKEN": {"secret": "true"},
            "URL": {"type": "url"},
            "DATABASE_URL": {"secret": "true", "type": "url"},
            "X": {},
        },
        "steps": [{"name": "two", "command": ["x"], "up_to_date": ["y"]}, {"name": "bare", "command": ["x"]}],
        "processes": {"web": {"command": ["x"]}, "worker": {}},
    }


def manifest_with(name, entries):
    """The base with these entries in a mapping of this kind, which is sound except for them."""
    manifest = base()
    step = {"name": "one", "command": ["x"]}
    if "server" in entries or name == "SERVER":
        del manifest["processes"]
    if name == "ROOT":
        return {**manifest, **entries}
    if name in ("AUDIT", "SERVER"):
        return {**manifest, name.lower(): entries}
    if name == "VARIABLE":
        manifest["variables"]["X"] = entries
    elif name == "GENERATE":
        manifest["variables"]["X"] = {"secret": "true", "generate": entries}
    elif name == "WAIT":
        manifest["wait_for"] = [entries]
    else:
        key = {"STEP": None, "ANNOUNCE": "announce", "ALEMBIC": "up_to_date", "LOCK": "lock"}[name]
        sound = {"alembic": "DATABASE_URL"} if key == "up_to_date" else {"postgres": "DATABASE_URL"} if key == "lock" else {}
        manifest["steps"].append({**step, **entries} if key is None else {**step, key: {**sound, **entries}})
    return manifest


def companions(name, key):
    """Further entries with which the guard may judge a key differently."""
    if name == "WAIT" and key in ("processes", "timeout"):
        return [{"tcp": "redis:6379"}, {"up_to_date": "two"}]
    if name == "WAIT" and key in ("status", "interval"):
        return [{"http": "http://auth/"}, {"command": ["x"]}, {"tcp": "redis:6379"}]
    if name == "VARIABLE" and key in ("schemes", "escaped", "min", "max"):
        return [{}, *({"type": word} for word in ("string", "url", "origin", "pem", "integer", "number", "duration"))]
    if name == "VARIABLE" and key == "file":
        return [{}, {"secret": "true"}]
    if name == "VARIABLE" and key == "value":
        return [{}, {"default": "x"}, {"generate": "{}"}]
    if name == "STEP" and key == "retry_delay":
        return [{}, {"retries": "3"}]
    if name == "ALEMBIC":
        return [{}, {"command": ["x"]}, {"alembic": "~", "command": ["x"]}]
    if name == "GENERATE" and key != "format":
        other = {"length": "64"} if key == "bytes" else {"bytes": "32"}
        return [{}, other, *({"format": word} for word in GENERATE["format"])]
    return [{}]


def is_grammar(value):
    """Whether a value stands for a mapping with these keys."""
    return isinstance(value, dict) and id(value) in REQUIRED


def every_value():
    for name, (grammar, _, _) in MAPPINGS.items():
        for key, sound in grammar.items():
            values = [*VALUES, *(value for value in sound if value not in VALUES and not is_grammar(value))]
            for others in companions(name, key):
                for value in values:
                    yield manifest_with(name, {**others, key: value})
    for name, (grammar, _, required) in MAPPINGS.items():
        sound = {key: grammar[key][0] for key in required}
        yield manifest_with(name, {**sound, "kye": "1"})
        for key in required:
            manifest = manifest_with(name, {**sound, key: "~"})
            yield manifest
            remove(manifest, key)
            yield manifest
    for variable in ["my.key", "é", "1", "true", "'a b'", "a=b", "''", '"a\\x01"']:
        yield {**base(), "variables": {variable: "~"}}
    # Keys that contradict each other.
    yield manifest_with("VARIABLE", {"min_length": "2", "max_length": "1"})
    yield manifest_with("VARIABLE", {"type": "number", "min": "2", "max": "1"})
    yield {**base(), "server": {}}
    yield manifest_with("WAIT", {"tcp": "redis:6379", "processes": ["web"] * 51})
    for count in (50, 51):
        yield {**base(), "processes": {f"p{number}": "~" for number in range(count)}}
    for process in ["é", "1", "true", "'a b'", "'a,b'", "''", '"a\\x01"']:
        yield {**base(), "processes": {process: {}}}
    limited = base()
    limited["variables"]["X"] = {"processes": ["web"]}
    yield {**limited, "wait_for": [{"tcp": "X"}]}
    limited["variables"]["A"] = {"processes": ["worker"], "required_when": {"X": "x"}}
    yield limited
    both = {"required_with": ["A", "URL"], "required_without": ["A"]}
    yield manifest_with("VARIABLE", both)
    with_default = manifest_with("VARIABLE", {"required_with": ["A"]})
    with_default["variables"]["A"] = {"default": "x"}
    yield with_default
    yield {**base(), "variables": {"my.key": {"file": "true"}}}
    # Keys that the guard does not read.
    yield {**base(), "x-anything": {"a": ["b"]}, "x-": "~"}
    yield {**base(), "y-anything": {}}
    yield {**base(), "variables": {"X": {"x-anything": "1"}}}
    with_file = base()
    with_file["variables"]["TOKEN_FILE"] = {}
    yield with_file


def samples(schema):
    """The default and the examples of every key: what they are, and manifests of which at least one must be sound."""
    for name, (grammar, pointer, _) in MAPPINGS.items():
        properties = at(schema, pointer)["properties"]
        for key in grammar:
            told = properties[key]
            for value in [*([told["default"]] if "default" in told else []), *told.get("examples", [])]:
                # JSON is YAML.
                entries = [{**others, key: json.dumps(value)} for others in companions(name, key)]
                yield f"{name} {key} {value}", [text_of(manifest_with(name, each)) for each in entries]


def remove(value, key):
    """Removes the entries without a value that have this key."""
    for place in places(value):
        if isinstance(place, dict) and place.get(key) == "~":
            del place[key]


def drawn(rng, grammar, share):
    """A random mapping: some keys with sound values."""
    found = {}
    for key, values in grammar.items():
        if values and (key in REQUIRED[id(grammar)] or rng.random() < share):
            value = rng.choice(values)
            found[key] = drawn(rng, value, 0.5) if is_grammar(value) else value
    return found


def drawn_variable(rng):
    variable = drawn(rng, VARIABLE, 0.15)
    if rng.random() < 0.8:
        # Keys that do not belong together are left to the mutations.
        kind = variable.get("type")
        if kind not in ("url", "origin"):
            variable.pop("schemes", None)
        if kind not in ("integer", "number", "duration"):
            variable.pop("min", None), variable.pop("max", None)
        if kind != "pem":
            variable.pop("escaped", None)
        if variable.get("value", "~") != "~":
            variable.pop("default", None), variable.pop("generate", None)
        if "bytes" in variable.get("generate", {}):
            variable["generate"] = {"bytes": variable["generate"]["bytes"]}
    return variable


def drawn_wait(rng):
    kind = rng.choice(["postgres", "tcp", "http", "command", "up_to_date"])
    wait = {kind: rng.choice(WAIT[kind])}
    if rng.random() < 0.5:
        wait["timeout"] = rng.choice(TIMES)
    for key, owner in (("status", "http"), ("interval", "command")):
        if kind == owner and rng.random() < 0.5:
            wait[key] = rng.choice(WAIT[key])
    return wait


def places(value):
    """Every mapping and list in a manifest."""
    if isinstance(value, (dict, list)):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from places(inner)


def changed(rng, manifest):
    """Changes one key or item."""
    place = rng.choice([place for place in places(manifest) if place])
    key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
    action = rng.randrange(4)
    if action == 0:
        place[key] = rng.choice(VALUES)
    elif action == 1:
        del place[key]
    elif isinstance(place, dict):
        # A key of another mapping, or of none.
        grammar = rng.choice([grammar for grammar, _, _ in MAPPINGS.values()])
        place[rng.choice([*grammar, "kye", f"{key}s"])] = rng.choice(VALUES)
    else:
        place.append(rng.choice(VALUES))


def drawn_manifest(rng):
    manifest = {**base(), **drawn(rng, ROOT, 0.3)}
    if "server" in manifest:
        del manifest[rng.choice(["server", "processes"])]
    for number in range(rng.randrange(4)):
        manifest["variables"][f"V{number}"] = rng.choice(["~", *(drawn_variable(rng) for _ in range(4))])
    manifest["steps"].extend(drawn(rng, STEP, 0.3) for _ in range(rng.randrange(2)))
    if rng.random() < 0.5:
        manifest["wait_for"] = [drawn_wait(rng) for _ in range(rng.randrange(3))]
    # A copy, because a change must not reach the lists above.
    manifest = copy.deepcopy(manifest)
    if rng.random() < 0.6:
        changed(rng, manifest)
    return manifest


def written(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return value


def text_of(manifest):
    return "".join(f"{key}: {written(value)}\n" for key, value in manifest.items())


# The judgement.


def at(schema, pointer):
    for part in filter(None, pointer.split("/")):
        schema = schema[part]
    return schema


def faults(guard, file):
    """The faults that the guard finds in a manifest."""
    command = [guard, "check", "--manifest", file]
    done = subprocess.run(command, env={}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if done.returncode in (0, 78):
        return []
    assert done.returncode == 65, f"{done.returncode}: {done.stderr}"
    # A fault can show a text of several lines.
    _, *found, summary = ("\n" + done.stderr).split("\nstartup-guard: ")
    assert f": {len(found)} fault" in summary, done.stderr
    return found


def main(guard, schema, differences, seed, count, folder):
    schema = json.loads(Path(schema).read_text())
    differences = json.loads(differences)
    Draft7Validator.check_schema(schema)
    for name, (grammar, pointer, _) in MAPPINGS.items():
        unlike = set(grammar) ^ set(at(schema, pointer)["properties"])
        assert not unlike, f"{name} does not have the keys of the schema: {unlike}"
    validator = Validator(schema)
    rng = random.Random(int(seed))
    texts = [text_of(manifest) for manifest in every_value()]
    texts += [text_of(drawn_manifest(rng)) for _ in range(int(count))]
    sampled = dict(samples(schema))
    texts += [text for manifests in sampled.values() for text in manifests]
    texts = list(dict.fromkeys([*texts, "[]\n", "x\n"]))

    def judge(numbered):
        number, text = numbered
        file = Path(folder, f"{number}.yaml")
        file.write_text(text)
        return faults(guard, file)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(judge, enumerate(texts)))
    counts, occurred, wrong, accepted = Counter(), set(), [], set()
    for text, told in zip(texts, found):
        manifest = yaml.load(text, Loader)
        is_valid = validator.is_valid(manifest)
        reasons = [[part for part in differences if part in fault.replace("`", "")] for fault in told]
        occurred.update(*reasons)
        if is_valid != all(reasons):
            errors = [error.message for error in validator.iter_errors(manifest)]
            wrong.append({"manifest": text, "faults": told, "errors": errors})
        elif is_valid:
            counts["guard_only" if told else "accepted"] += 1
            accepted.add(text)
        else:
            counts["rejected"] += 1
    unsound = [what for what, manifests in sampled.items() if accepted.isdisjoint(manifests)]
    print(json.dumps({"counts": counts, "occurred": sorted(occurred), "unsound": unsound, "wrong": wrong}))


main(*sys.argv[1:])
