"""Compares the guard's merge keys with ruamel.yaml's, for tests/author/merge.rs. PyYAML 6.0.4 merges lists wrongly.

    merge.py GUARD SEED COUNT FOLDER

Makes COUNT random manifests with anchors, aliases and merge keys. The guard's template of a manifest must be the same as
that of the manifest which ruamel.yaml reads, written as JSON. What it rejects, the guard must reject with 65.

Writes a JSON object to standard output: how many manifests were `merged`, `rejected`, and the `wrong` ones.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML, YAMLError

KEYS = {"level": ["critical", "required", "optional"], "hint": ["one", "two"], "docs": ["three"], "min_length": [1, 2]}


class Manifest:
    def __init__(self, rng):
        self.rng = rng
        self.anchors = []
        # The guard does not read what no variable uses.
        self.is_used = False

    def entries(self, depth):
        """The entries of a mapping of keys, in YAML."""
        rng = self.rng
        keys = rng.sample(list(KEYS), rng.randrange(len(KEYS)))
        entries = [f"{key}: {rng.choice(KEYS[key])}" for key in keys]
        if depth < 3 and rng.random() < 0.7:
            entries.insert(rng.randrange(len(entries) + 1), f"<<: {self.source(depth)}")
        return "{" + ", ".join(entries) + "}"

    def source(self, depth):
        """The value of a merge key, which in a few cases cannot be merged."""
        rng = self.rng
        if self.is_used and rng.random() < 0.04:
            return rng.choice(["text", "5", "[{}, text]", "[[{}]]", "true"])
        one = lambda: f"*{rng.choice(self.anchors)}" if self.anchors and rng.random() < 0.6 else self.entries(depth + 1)
        if rng.random() < 0.4:
            return "[" + ", ".join(one() for _ in range(rng.randrange(4))) + "]"
        return one()

    def text(self):
        lines = ["version: 1"]
        for index in range(self.rng.randrange(4)):
            entries = self.entries(0)
            lines.append(f"x-{index}: &a{index} {entries}")
            self.anchors.append(f"a{index}")
        lines.append("variables:")
        if self.rng.random() < 0.3:
            names = self.rng.sample("ABCDE", 2)
            lines.append("  <<: {" + ", ".join(f"{name}: {self.entries(1)}" for name in names) + "}")
        self.is_used = True
        for name in self.rng.sample("ABCDE", self.rng.randrange(1, 5)):
            is_alias = self.anchors and self.rng.random() < 0.2
            lines.append(f"  {name}: " + (f"*{self.rng.choice(self.anchors)}" if is_alias else self.entries(0)))
        return "\n".join(lines) + "\n"


def template(guard, file, text):
    """The lines of the guard's template, in any order, or its exit code."""
    file.write_text(text)
    words = [guard, "template", "--format", "markdown", "--manifest", file]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60)
    return ended.returncode or sorted(ended.stdout.splitlines())


def main(guard, seed, count, folder):
    rng = random.Random(int(seed))
    merged, rejected, wrong = 0, 0, []
    file = Path(folder, "required-vars.yaml")
    for _ in range(int(count)):
        text = Manifest(rng).text()
        found = template(guard, file, text)
        try:
            expected = template(guard, file, json.dumps(YAML(typ="safe", pure=True).load(text)))
            merged += "<<" in text
        except YAMLError:
            expected = 65
            rejected += 1
        if found != expected:
            wrong.append({"manifest": text, "found": found, "expected": expected})
    print(json.dumps({"merged": merged, "rejected": rejected, "wrong": wrong}))


main(*sys.argv[1:])
