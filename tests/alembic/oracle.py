"""Answers of the real alembic, with which src/alembic/tests.rs compares the guard's.

    oracle.py histories|sources|inis|templates|commands SEED COUNT FOLDER

Writes files below FOLDER, and a line of JSON about each case to standard output.
"""

import configparser
import contextlib
import io
import json
import os
import random
import signal
import sys
import warnings
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

from alembic import command
from alembic.config import CommandLine, Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.base import Script
from alembic.util import to_tuple
from sqlalchemy import create_engine

sys.dont_write_bytecode = True
warnings.simplefilter("ignore")


def say(**case):
    print(json.dumps(case))


def load(settings, folder):
    """A Config as alembic's command line makes it, with the variables of the environment."""
    os.environ["ALEMBIC_CONFIG"] = settings.get("variable", "")
    with contextlib.redirect_stderr(io.StringIO()):
        toml, ini = CommandLine()._inis_from_config(Namespace(config=settings.get("files")))
    return Config(file_=ini, toml_file=toml, ini_section=settings.get("section", "alembic"))


# Histories.


def names(rng, count):
    """Revisions: hexadecimal, numbered, or with common beginnings."""
    style = rng.choice(["hex", "number", "prefix"])
    found = []
    while len(found) < count:
        if style == "hex":
            name = f"{rng.getrandbits(48):012x}"
        elif style == "number":
            name = f"{len(found) + 1:04d}"
        else:
            name = rng.choice(["abcd", "abce", "xy"]) + f"{rng.randrange(999)}"
        if name not in found:
            found.append(name)
    return found


def written(rng, value):
    """A value as people and tools write it."""
    quote = rng.choice(["'", '"'])
    if value is None:
        return "None"
    if isinstance(value, str):
        plain = f"{quote}{value}{quote}"
        return rng.choice([plain, f"({plain})", f"r{plain}", f"{quote}{value[:2]}{quote} {quote}{value[2:]}{quote}" if len(value) > 2 else plain])
    items = [f"{quote}{item}{quote}" for item in value]
    if len(items) == 1:
        return rng.choice([f"({items[0]},)", f"[{items[0]}]", f"{items[0]},"])
    joined = ", ".join(items)
    black = "(\n" + "".join(f"    {item},\n" for item in items) + ")"
    return rng.choice([f"({joined})", f"[{joined}]", joined, black, f"({joined},)"])


def source(rng, revision):
    order = ["revision", "down_revision"]
    order += [key for key in ("branch_labels", "depends_on") if revision[key] is not None or rng.random() < 0.7]
    if rng.random() < 0.3:
        rng.shuffle(order)
    kinds = {"revision": "str", "down_revision": "Union[str, None]"}
    is_annotated = rng.random() < 0.5
    lines = [f'"""{rng.choice(["a change", "it’s", ""])}', "", f"Revision ID: {revision['revision']}", "revision = 'no'", '"""']
    lines += ["from typing import Sequence, Union", "", "from alembic import op", "import sqlalchemy as sa", ""]
    for key in order:
        value = written(rng, revision[key])
        if key == "revision":
            value = value.strip("()")
        kind = kinds.get(key, "Union[str, Sequence[str], None]")
        lines.append(f"{key}: {kind} = {value}" if is_annotated else f"{key} = {value}")
    lines += ["", "", "def upgrade() -> None:", "    revision = None", "    pass", "", "", "def downgrade() -> None:", "    pass", ""]
    return rng.choice(["\n", "\n", "\r\n"]).join(lines)


def graph(rng, count):
    """Revisions as dictionaries; each refers to earlier ones only."""
    revisions, labels = [], []
    ids = names(rng, count)
    branching = rng.choice([0, 0.15, 0.4])
    for index, name in enumerate(ids):
        earlier = ids[:index]
        heads = [one for one in earlier if not any(one in (other["down_revision"] or ()) for other in revisions)]
        down = None
        if earlier and rng.random() > 0.08:
            pool = earlier if rng.random() < branching else heads
            size = 2 if len(pool) > 1 and rng.random() < 0.3 else 1
            down = rng.sample(pool, size)
        depends = None
        if earlier and rng.random() < 0.2:
            depends = rng.sample(earlier + labels, rng.choice([1, 1, min(2, len(earlier))]))
        label = None
        if rng.random() < 0.2:
            label = [f"label{index}" + rng.choice(["", "-x", "_y"])]
            labels += label
            if rng.random() < 0.2:
                label.append(f"other{index}")
        revisions.append({"revision": name, "down_revision": down, "depends_on": depends, "branch_labels": label})
    return revisions


def damage(rng, revisions):
    one, other = rng.choice(revisions), rng.choice(revisions)
    kind = rng.choice(["unknown", "circle", "self", "label", "character", "dependency", "label_down"])
    if kind == "unknown":
        one["down_revision"] = ["nowhere"]
    elif kind == "dependency":
        one["depends_on"] = ["nowhere"]
    elif kind == "circle":
        one["down_revision"] = list({*(one["down_revision"] or []), rng.choice(revisions)["revision"]})
        one["depends_on"] = rng.choice([one["depends_on"], [other["revision"]]])
    elif kind == "self":
        one[rng.choice(["down_revision", "depends_on"])] = [one["revision"]]
    elif kind == "label":
        one["branch_labels"] = ["same"]
        other["branch_labels"] = ["same", rng.choice(["same", other["revision"], "more"])]
    elif kind == "label_down":
        one["branch_labels"] = ["here"]
        other["down_revision"] = ["here"]
    else:
        one["revision"] += rng.choice("@-+:") + "x"


def simple(value, rng):
    if value is not None and len(value) == 1 and rng.random() < 0.8:
        return value[0]
    return value


def configured(rng, folder, revisions, number):
    """Writes the files of a history and its configuration. Returns the settings."""
    package = f"package{number}"
    scripts = folder / package / rng.choice(["migrations", "alembic"])
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_text("")
    scripts.mkdir()
    (scripts / "env.py").write_text("from alembic import context\ncontext.configure(connection=None)\n")
    if rng.random() < 0.2:
        os.symlink("nobody@nowhere.1", scripts / ".#lock.py")
    locations = [scripts / "versions"]
    if rng.random() < 0.4:
        locations += [folder / f"more{index}" for index in range(rng.randrange(1, 3))]
    is_recursive = rng.random() < 0.4
    for place in locations:
        place.mkdir()
    template = rng.choice(["{revision}_x.py", "2024_{revision}.py", "{revision}.py", "{index:04d}-ä.py"])
    for index, revision in enumerate(revisions):
        place = rng.choice(locations)
        if is_recursive and rng.random() < 0.6:
            place = place / rng.choice(["2023", "2024", "2024/b"])
            place.mkdir(parents=True, exist_ok=True)
        shown = {key: value if key == "revision" else simple(value, rng) for key, value in revision.items()}
        name = template.format(revision=revision["revision"].replace(":", "_"), index=index)
        path = place / name
        if rng.random() < 0.05:
            hidden = folder / f"hidden{index}.py"
            hidden.write_bytes(source(rng, shown).encode())
            path.symlink_to(hidden)
        else:
            path.write_bytes(source(rng, shown).encode())
    for name in ["__init__.py", ".#x.py", "notes.txt", "x.pyc", "__init__old.py"]:
        if rng.random() < 0.3:
            (rng.choice(locations) / name).write_text("?")
    if rng.random() < 0.1:
        locations.append(locations[0])

    relative = lambda path: os.path.relpath(path)
    style = rng.choice(["here", "absolute", "relative", "package", "python_path"])
    text = {"here": lambda path: f"%(here)s/{path.relative_to(folder)}", "absolute": str, "relative": relative}
    write = text.get(style, text["here"])
    options = {"script_location": write(scripts)}
    settings = {"section": "alembic"}
    if style in ("package", "python_path"):
        options["script_location"] = f"{package}:{scripts.name}"
        if style == "package":
            options["prepend_sys_path"] = ["%(here)s"]
        else:
            settings["python_path"] = f"/nowhere:{folder}"
            sys.path.append(str(folder))
    if len(locations) > 1 or rng.random() < 0.3:
        options["version_locations"] = [write(place) for place in locations]
    if is_recursive or rng.random() < 0.2:
        options["recursive_version_locations"] = is_recursive
    if rng.random() < 0.2:
        options["sourceless"] = False
    in_toml = {key for key in options if rng.random() < 0.5}
    kind = rng.choice(["ini", "ini", "toml", "both"])
    in_toml = {"ini": set(), "toml": set(options), "both": in_toml}[kind]
    toml = {key: options[key] for key in in_toml}
    ini = {key: value for key, value in options.items() if key not in in_toml}
    if "script_location" in ini and rng.random() < 0.3:
        toml["script_location"] = "nowhere"
    if toml or rng.random() < 0.3:
        lines = ["[project]", 'name = "x"', "", "[tool.alembic]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in toml.items()]
        (folder / "pyproject.toml").write_text("\n".join(lines) + "\n\n[tool.other]\nx = 1\n")
    if kind != "toml":
        section = settings["section"] = rng.choice(["alembic", "alembic", "other"])
        separator = rng.choice(["os", "space", "newline", ";", ":", None])
        sign = {"os": ":", "newline": "\n    ", "space": " ", None: rng.choice([" ", ", ", ","])}.get(separator, separator)
        key = rng.choice(["path_separator", "path_separator", "version_path_separator"])
        if "prepend_sys_path" in ini and key == "version_path_separator" and "version_locations" in ini:
            key = "path_separator"
        lines = ["# comment", "[DEFAULT]", "unused = %(here)s", "", f"[{section}]"]
        for name, value in ini.items():
            value = sign.join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else value
            lines.append(f"{name} {rng.choice('=:')} {value}")
        settings["is_separated"] = separator is not None
        if separator:
            lines.append(f"{key} = {separator}")
        lines += ["file_template = %%(rev)s", "[loggers]", "keys = root"]
        (folder / "alembic.ini").write_text("\n".join(lines) + "\n")
    files = [str(folder / "alembic.ini"), str(folder / "pyproject.toml")]
    if rng.random() < 0.3:
        settings["variable"] = files.pop(rng.randrange(2))
    settings["files"] = files
    return settings


def planned(script, target, rows):
    try:
        steps = script._upgrade_revs(target, tuple(rows))
    except Exception as error:
        return {"target": target, "error": f"{type(error).__name__}: {error}"}
    return {"target": target, "count": len(steps)}


def states(rng, script, revisions):
    """Rows of version tables: those that real upgrades, downgrades and stamps leave, and some that they never do."""
    ids = [one["revision"] for one in revisions]
    labels = [label for one in revisions for label in one["branch_labels"] or ()]
    targets = ["heads", "head"] + [f"{label}@head" for label in labels] + [f"{label}@heads" for label in labels]
    targets += rng.sample(ids, min(4, len(ids))) + [rng.choice(ids)[:4], rng.choice(ids)[:3], "nowhere", rng.choice(ids) + "@head"]
    targets += rng.sample(labels, min(1, len(labels))) + ["base", "+1", "@head", "a@b@head", rng.choice(ids) + "-1"]
    found = [[]]
    connection = create_engine("sqlite://").connect()
    for _ in range(8):
        target = rng.choice(targets + ids)
        action = rng.choice(["upgrade", "upgrade", "downgrade", "stamp"])
        plan = {
            "upgrade": lambda rows, _: script._upgrade_revs(target, rows),
            "downgrade": lambda rows, _: script._downgrade_revs(rng.choice(["base", "-1", target]), rows),
            "stamp": lambda rows, _: script._stamp_revs(target, rows),
        }[action]
        context = MigrationContext.configure(connection, opts={"fn": plan, "script": script})
        with contextlib.suppress(Exception), connection.begin():
            context.run_migrations()
        found.append(list(context.get_current_heads()))
    found += [["nowhere"], [rng.choice(ids), "nowhere"], [rng.choice(ids)[:4]], rng.sample(ids, min(2, len(ids)))]
    found += [[rng.choice(["head", "heads", "base", "-1", " -1", "a@b", "", "abc"])], rng.sample(labels, min(1, len(labels)))]
    for rows in sorted(map(list, set(map(tuple, found)))):
        yield {"rows": rows, "plans": [planned(script, target, rows) for target in targets]}


def histories(rng, count, root):
    for number in range(count):
        folder = root / f"h{number}"
        folder.mkdir()
        revisions = graph(rng, rng.randrange(1, 14))
        is_damaged = rng.random() < 0.25
        if is_damaged:
            damage(rng, revisions)
        settings = configured(rng, folder, revisions, number)
        before = list(sys.path)
        try:
            script = ScriptDirectory.from_config(load(settings, folder))
            heads = [[head, Path(script.get_revision(head).path).name] for head in script.get_heads()]
        except Exception as error:
            say(settings=settings, error=f"{type(error).__name__}: {error}")
            continue
        finally:
            sys.path[:] = before
        # A circle that alembic does not find could keep it in a loop.
        walked = [] if is_damaged else list(states(rng, script, revisions))
        known = [name for one in revisions for name in [one["revision"], *(one["branch_labels"] or ())]]
        say(settings=settings, heads=heads, names=known, states=walked)


# Sources of revision files.


PLAIN = '''"""A change

revision = "doc"
"""
import os
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = "a1"
down_revision = "a0"
branch_labels = None
depends_on = None

BATCH = 10


def helper(revision, *, depends_on=None):
    down_revision = f"{revision}-{BATCH}"
    return down_revision


def upgrade():
    for revision in range(3):
        helper(revision)


def downgrade():
    if BATCH > 3:
        pass
    else:
        pass
'''

BASE = 'revision = "a"\ndown_revision = "b"\n'

# Each is added to a plain file.
DISGUISES = [
    'if True:\n    revision = "x"\n',
    'if True: revision = "x"\n',
    'if True: pass; revision = "x"\n',
    'try:\n    down_revision = "x"\nexcept Exception:\n    pass\n',
    'try: revision = "x"\nfinally: pass\n',
    'for revision in ["x"]:\n    pass\n',
    'with open("/dev/null") as revision:\n    pass\n',
    'class A:\n    revision = "x"\n',
    'class A:\n    global revision\n    revision = "x"\n',
    'def f():\n    global revision\n    revision = "x"\nf()\n',
    'def f():\n    global x, revision; revision = "x"\nf()\n',
    'def f(): global revision; revision = "x"\nf()\n',
    'def f(a=(revision := "x")): pass\n',
    'class A(type(revision := "x")): pass\n',
    'def revision(): pass\n',
    'class revision: pass\n',
    'async def revision(): pass\n',
    'if True:\n    def revision(): pass\n',
    'import os as revision\n',
    'from os import path as revision\n',
    'from star_helper import *\n',
    'if True: from star_helper import *\n',
    'from star_helper import revision\n',
    'globals()["revision"] = "x"\n',
    'globals().update(revision="x")\n',
    'def f():\n    globals()["revision"] = "x"\nf()\n',
    'vars()["revision"] = "x"\n',
    'locals()["revision"] = "x"\n',
    'exec("revision = 1")\n',
    'eval("globals()").update(revision="x")\n',
    'import sys\nsetattr(sys.modules[__name__] if __name__ in sys.modules else object, "x", 1)\n',
    'revision, other = "x", "y"\n',
    '[revision] = ["x"]\n',
    '(revision) = "x"\n',
    'revision = other = "x"\n',
    'other = revision = "x"\n',
    'revision += "x"\n',
    'revision: str\n',
    'revision: str = "x"\n',
    'revision: "Annotated[str, (1)]" = "x"\n',
    'revision: dict(a=1) = "x"\n',
    'revision: (lambda a=1: 2) = "x"\n',
    '(revision := "x")\n',
    'print(f"{(revision := 1)}", file=open(os.devnull, "w")) if False else None\n',
    'x = f"{(revision := \'q\')}"\n',
    'x = rf"""{(revision := \'q\')}"""\n',
    'del revision\nrevision = "x"\n',
    'del down_revision\n',
    'revision = "x" if True else "y"\n',
    'revision = "x" + "y"\n',
    'revision = "x".upper()\n',
    'revision = ("x", "y")[0]\n',
    'revision = f"x"\n',
    'revision = b"x"\n',
    'revision = "\\x41"\n',
    'revision = r"\\x41"\n',
    'revision = u"x"\n',
    'revision = R"x" \'y\'\n',
    'revision = (\n    "x"  # why\n    "y"\n)\n',
    'revision = \\\n    "x"\n',
    'revision = "x"; down_revision = "y"\n',
    'x = 1; revision = "x"\n',
    'x = lambda: 0; revision = "x"\n',
    'x = """\nrevision = "q"\n"""\nrevision = "x"\n',
    "x = '''\n'''; revision = 'x'\n",
    'x = "\\\nrevision = 1"\n',
    'x = [\nrevision\n]\n',
    'x = (1,\n2); revision = "x"\n',
    '# revision = 1 \\\nrevision = "x"\n',
    'down_revision = ("x",)\n',
    'down_revision = ["x", "y"]\n',
    'down_revision = "x", "y"\n',
    'down_revision = "x",\n',
    'down_revision = ()\n',
    'down_revision = []\n',
    'down_revision = (())\n',
    'down_revision = (("x", "y"))\n',
    'down_revision = (("x"), ("y"))\n',
    'down_revision = ("x" "y", "z")\n',
    'down_revision = (None,)\n',
    'down_revision = ""\n',
    'down_revision = {"x"}\n',
    'down_revision = None\n',
    'down_revision = (None)\n',
    'branch_labels = ("x",)\ndepends_on = ["y"]\n',
    'branch_labels = "x"\n',
    'depends_on = tuple("xy")\n',
    'depends_on = revision\n',
    'revision = 1\n',
    'revision = None\n',
    'revision = "x" # comment\n',
    'revision="x"\n',
    'revision\t=\t"x"\n',
    'revision = "x"\\\n\n',
    'def f():\n\trevision = 1\n\tif f:\n\t\trevision = 2\nrevision = "x"\n',
    'def f():\n    x = """\nrevision = "q"\n"""\n',
    'def f():\n    pass\n# comment at the margin\n    revision = "q"\n',
    'def f(\n    a,\n):\n    revision = "q"\n',
    'class A:\n    def f(self):\n        pass\n\n    revision = "q"\nrevision = "x"\n',
    'if True:\n    class A:\n        revision = "q"\n    def f(): revision = "q"\n',
    'if True:\n    class A:\n        pass\n    revision = "x"\n',
    'if True:\n    pass\nelse: revision = "x"\n',
    'match 1:\n    case revision:\n        pass\n',
    'match = 1\nrevision = "x"\n',
    'x = f"{BASE if False else 1:#>{5}}"\n',
    'x = f"{{revision}} {1}"\n',
    "x = f'{1!r:>3}'\n",
    'x = {**{"a": 1}}\n',
    '\ufeffrevision = "x"\n',
    'ｒevision = "x"\n',
    'x = "ｒevision"\n',
    'é = 1\n',
    'revision = "é"\n',
    'x = 1if 1else 2\n',
    'x = 0x1for_ if False else 1\n' if False else 'x = [0x1for x in (1,)]\n',
    'x = 1_000.5e-3j\n',
    'x = ...\n',
    'x: int = 1\n',
    'x = a if (a := "x") else revision\n',
    'x = lambda revision: revision\n',
    'x = [revision for revision in "ab"]\n',
    'x = dict(revision="x")\n',
    'import star_helper\nstar_helper.revision = "q"\n',
    '\x0crevision = "x"\n',
    'if True:\n    pass\n\x0crevision = "x"\n',
    '\trevision = "x"\n',
    'if True:\n  \\\nrevision = "x"\n  pass\n',
    'def __getattr__(name):\n    return "q"\n',
    '__dict__ = 1\n',
    'revision = "x"\rdown_revision = "y"\r',
    '# x\rrevision = "x"\n',
    'x = "\\"; revision = "x"\n',
    "x = 'it''s'; revision = 'x'\n",
    'x = ""; revision = ""\nrevision = "x"\n',
    'x = """a"" b"""; revision = "x"\n',
    'x = r"\\"; revision = "q"; y = "\\"\n',
    'x = br"\\"" + b"\'"; revision = "x"\n',
    '@(lambda f: f)\ndef g(revision): pass\n',
    '@(lambda f: f if (revision := "x") else f)\ndef g(): pass\n',
    'while False: revision = "x"\nelse: down_revision = "x"\n',
    'try:\n    raise ValueError\nexcept ValueError as revision:\n    pass\n',
    'async def f():\n    async with x as revision: pass\n',
    'def f() -> (revision := "x"): pass\n',
    'def f():\n    nonlocal_ = 1\n    def g():\n        global revision\n        revision = "x"\n    g()\nf()\n',
]

BYTES = [
    b'# -*- coding: latin-1 -*-\nrevision = "\xe9"\ndown_revision = None\n',
    b'# coding: utf-8\nrevision = "a"\ndown_revision = None\n',
    b'#!/usr/bin/env python\n# vim: set fileencoding=utf8 :\nrevision = "a"\ndown_revision = None\n',
    b'# coding=cp1252\nrevision = "\xc3\xa9"\ndown_revision = None\n',
    b'\n# coding: latin-1\nrevision = "\xc3\xa9"\ndown_revision = None\n',
    b'revision = "\xff"\ndown_revision = None\n',
    b'\xef\xbb\xbfrevision = "a"\r\ndown_revision = None\r\n',
    b'revision = "a"\rdown_revision = None\r',
    b'# x\rrevision = "a"\rdown_revision = None',
    b'revision = """a\r\nb"""\ndown_revision = None\n',
    b'revision = "a"\ndown_revision = None\n\x00',
    b'down_revision = None\n',
    b'revision = "a"\n',
    b'',
]

PIECES = ['"', "'", '"""', "'''", "(", ")", "[", "]", "{", "}", "\\", "\\\n", "\n", ";", ":", "=", ",", "#", " ", "    ", "\t", "f", "r", "b",
          "revision", "down_revision", "None", "if 1:", "def f():", "class A:", "global revision", ":=", "*", "\r", "else:", "lambda: ", "@", "f'{", "}'"]


def mutated(rng, text):
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + rng.randrange(1, 6):]
        elif kind == 2:
            lines = text.splitlines(True)
            one = rng.randrange(len(lines))
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(["", "    ", "\t", "if 1:\n    ", "if 1: "]) + lines[one])
            text = "".join(lines)
        elif kind == 3:
            lines = text.splitlines(True)
            one = rng.randrange(len(lines))
            lines[one] = rng.choice(["    ", "\t", " "]) + lines[one] if rng.random() < 0.5 else lines[one].lstrip(" ")
            text = "".join(lines)
        else:
            end = min(len(text), at + rng.randrange(1, 60))
            start = rng.randrange(len(text))
            text = text[:start] + text[at:end] + text[start:]
        text = text or "\n"
    return text


def sources(rng, count, root):
    (root / "star_helper.py").write_text('revision = "star"\ndown_revision = "star"\n')
    sys.path.insert(0, str(root))
    fixed = [BASE + one for one in DISGUISES] + [one + BASE for one in DISGUISES] + [PLAIN + one for one in DISGUISES] + [PLAIN]
    texts = [text.encode() for text in fixed] + BYTES
    while len(texts) < count:
        texts.append(mutated(rng, rng.choice(fixed)).encode("utf-8", "replace"))

    def give_up(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    for number, text in enumerate(texts):
        path = root / f"s{number}.py"
        path.write_bytes(text)
        signal.setitimer(signal.ITIMER_REAL, 2)
        result = None
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                script = Script._from_path(SimpleNamespace(sourceless=False), path)
            module = script.module
            values = [getattr(module, "revision", None)]
            values += [list(to_tuple(getattr(module, key, None), default=())) for key in ("down_revision", "depends_on", "branch_labels")]
            json.dumps(values)
            result = values
        except (Exception, SystemExit):
            pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        say(file=path.name, text=text.decode("utf-8", "replace"), values=result)


# Ini files.

INI_LINES = ["[alembic]", "[other]", "[DEFAULT]", "[a]b]", "[]", "[ alembic ]", " [alembic]", "[alembic] x", "key = value", "key: value", "key=value",
             "key = a = b", "key : a = b", "KEY = v", "Key2 = v", "key2 =", "key3", "= v", "key = %(here)s/x", "key2 = %(key)s%(key)s", "key4 = %%(here)s",
             "key4 = %", "key4 = %(HERE)s", "key5 = %(key5)s", "key6 = %(nothing)s", "key7 = %(here)", "key7 = %()s", "here = there", "# comment", "; comment",
             "  # comment", "key8 = v # not a comment", "key8 = v ; x", "    continued", "\tcontinued", " [continued]", "  key = continued", "", "   ", "key9 =\n    a\n\n    b",
             "key9 = a\n# c\n    b", "key9 = a\n    # c\n    b", "  key10 = v\n  key11 = w\n    x", "key12 = é", "é = v", "key13 = v\x0c", "key13 = v\x85w", "key14 = %(key12)s",
             "rem x", "key15 = v\r", "key16 = a\rkey17 = b", "\ufeff[alembic]", "key18 = \u2003v\u2003", "\u2003key19 = v"]
SECTIONS = ["alembic", "other", "a]b", " alembic "]


def inis(rng, count, root):
    for number in range(count):
        lines = [rng.choice(INI_LINES[:2])] if rng.random() < 0.9 else []
        lines += [rng.choice(INI_LINES) for _ in range(rng.randrange(1, 9))]
        if rng.random() < 0.3:
            lines = list(dict.fromkeys(lines))
        path = root / f"{number}.ini"
        path.write_bytes("\n".join(lines).encode())
        parser = configparser.ConfigParser({"here": "/here"})
        values = None
        try:
            parser.read([path], encoding="utf-8")
            values = []
            for section in SECTIONS:
                for key in ["here", "é"] + [f"key{index or ''}" for index in range(20)]:
                    value = None
                    has = parser.has_option(section, key)
                    with contextlib.suppress(Exception):
                        value = parser.get(section, key)
                    values.append([section, key, has, value])
        except Exception:
            pass
        say(file=path.name, values=values)


# What alembic's own templates make.


def templates(rng, count, root):
    for number, template in enumerate(["generic", "async", "multidb", "pyproject", "pyproject_async"]):
        folder = root / template
        folder.mkdir()
        ini, toml = folder / "alembic.ini", folder / "pyproject.toml"
        settings = {"files": [str(ini), str(toml)], "section": "alembic"}
        with contextlib.redirect_stdout(io.StringIO()):
            config = Config(file_=str(ini), toml_file=str(toml), stdout=io.StringIO())
            command.init(config, str(folder / "migrations"), template=template)
            config = lambda: Config(file_=str(ini), toml_file=str(toml), stdout=io.StringIO())
            first = command.revision(config(), message="it's \"first\"").revision
            second = command.revision(config(), message="second\nline", branch_label="shop").revision
            command.revision(config(), head=first, splice=True, message="third", depends_on=second)
            command.revision(config(), head="base", splice=True, message="fourth", branch_label=f"b{number}")
            command.merge(config(), "heads", message="merged")
        script = ScriptDirectory.from_config(config())
        heads = [[head, Path(script.get_revision(head).path).name] for head in script.get_heads()]
        say(template=template, settings=settings, heads=heads, files=[str(path) for path in sorted((folder / "migrations/versions").glob("*.py"))])


# Command lines.


WORDS = ["-c", "-c=x.ini", "-cx.ini", "--config", "--config=y.toml", "--conf", "-n", "-nother", "-n=other", "--name"]
WORDS += ["--name=other", "-x", "-xa=b", "-x=a", "a=b", "-q", "--quiet", "-qc", "--raiseerr", "--", "-1", "", "-c="]
WORDS += ["--config=", "x.ini", "pyproject.toml", "upgrade", "upgrade", "head", "+1", "--sql", "--tag", "--tag=t"]
WORDS += ["current", "--check-heads", "nothing", "-h", "-v", "--sq", "--ta=x"]


def commands(rng, count, root):
    parser = CommandLine(prog="alembic").parser
    for _ in range(count):
        words = [rng.choice(WORDS) for _ in range(rng.randrange(5))]
        if rng.random() < 0.7:
            words += ["upgrade", rng.choice(["head", "heads", "abc", "x@head"])]
        parsed = None
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            with contextlib.suppress(SystemExit):
                options = parser.parse_args(words)
                is_upgrade = getattr(options, "cmd", [None])[0] is command.upgrade and not options.sql
                parsed = [options.config or [], options.name, options.revision if is_upgrade else None]
        say(words=words, parsed=parsed)


def main():
    kind, seed, count, root = sys.argv[1:]
    globals()[kind](random.Random(int(seed)), int(count), Path(root))


main()
