"""Runs the code of a fixture with the real libraries, and prints the names of the variables that it looks up.

    record.py FOLDER MODULE…    runs the modules, and prints the names
    record.py --classes FILE    compares the names on standard input with what pydantic-settings reads
"""

import json
import os
import sys


def plausible(name):
    if str(name).endswith("URL"):
        return "locmemcache://" if name == "CACHE_URL" else "sqlite:///x"
    return "1"


class Recorder(dict):
    """An environment in which every variable is set."""

    def __init__(self):
        super().__init__()
        self.names = set()
        self.is_recording = False

    def note(self, name):
        if self.is_recording:
            self.names.add(name.decode() if isinstance(name, bytes) else name)

    def __contains__(self, name):
        self.note(name)
        return True

    def __getitem__(self, name):
        self.note(name)
        return super().get(name, plausible(name))

    def get(self, name, default=None):
        self.note(name)
        return super().get(name, plausible(name) if default is None else default)

    def pop(self, name, *default):
        self.note(name)
        return super().pop(name, "1")

    def __delitem__(self, name):
        super().pop(name, None)

    def setdefault(self, name, default=None):
        self.note(name)
        return super().setdefault(name, default)


def record(folder, modules):
    real, recorder = dict(os.environ), Recorder()
    os.environ = recorder
    # The libraries take the environment when they are imported, and read variables of their own.
    import decouple, dj_database_url, django, environ, environs, starlette.config  # noqa: E401, F401
    import pydantic, pydantic_settings  # noqa: E401, F401
    from pydantic_settings.sources.providers import env as source

    def lookups(*_, **__):
        """The environment that pydantic-settings searches for names whose case does not matter."""
        return PydanticRecorder(recorder)

    source.parse_env_vars = lookups
    sys.path.insert(0, os.path.abspath(folder))
    recorder.is_recording = True
    for module in modules:
        try:
            __import__(module)
        except pydantic.ValidationError:
            # All fields have been looked up, and have no value.
            pass
    recorder.is_recording = False
    print(json.dumps(sorted(recorder.names)))
    os.environ = real


class PydanticRecorder(dict):
    def __init__(self, recorder):
        super().__init__()
        self.recorder = recorder

    def get(self, name, default=None):
        self.recorder.note(name.upper())
        return default


def judge(file):
    """Compares the variables on standard input, for each class those that are needed and those that are not, with what
    pydantic-settings makes of them. Prints what differs."""
    names = json.loads(sys.stdin.read())
    os.environ.clear()
    scope = {"__name__": "generated"}
    with open(file) as source:
        exec(compile(source.read(), file, "exec"), scope)
    differences = []
    for name, (needed, others) in names.items():
        fields = create(scope[name], needed)
        if isinstance(fields, str):
            differences.append(f"{name} needs more than {needed}: {fields}")
        for variable in needed:
            rest = [other for other in needed if other != variable]
            if not isinstance(create(scope[name], rest), str):
                differences.append(f"{name} does not need {variable}")
        for variable in needed + others:
            fields = create(scope[name], needed, variable)
            if not isinstance(fields, list) or fields.count("2") != 1:
                differences.append(f"{name} does not read {variable}: {fields}")
        fields = create(scope[name], needed + others)
        if fields != ["1"] * len(fields):
            differences.append(f"{name} has more variables than {needed + others}: {fields}")
    print("\n".join(differences))


def create(kind, variables, special=None):
    """The values of the fields if these variables are 1, and a special one 2; or the error."""
    import pydantic

    os.environ.update({variable: "1" for variable in variables})
    if special:
        os.environ[special] = "2"
    try:
        return list(values(kind()))
    except pydantic.ValidationError as error:
        return str(error)
    finally:
        os.environ.clear()


def values(instance):
    for name in type(instance).model_fields:
        value = getattr(instance, name)
        if hasattr(type(value), "model_fields"):
            yield from values(value)
        else:
            yield value


if __name__ == "__main__":
    if sys.argv[1] == "--classes":
        judge(sys.argv[2])
    else:
        record(sys.argv[1], sys.argv[2:])
