# SPDX-License-Identifier: GPL-2.0-or-later
"""schema.py EMBERD POLICIES: does POLICIES/schema.json say what EMBERD accepts?

Every object of the schema is given a key that nobody knows: emberd's answer names the keys that it
knows there. Then every property is given values of each type and from around its limits. What emberd
accepts the schema must accept; for integers, words and types also the other way round (what a string
holds, emberd knows better).
"""

import copy
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import jsonschema

EVERYWHERE = {"//"}  # and at the top "$schema": comments, which emberd's answer does not name
SAMPLES = [None, True, 0, 1, 7, -1, 0.5, "", "off", "x", "1s", "250ms", "3%", "60%", "64MiB", "200MB/s", "0MB/s", "1",
           "/usr/bin/*", "*", "redis*", [], [0], [1, 2], [0, 0], [99], {}]


class Emberd:
    def __init__(self, program):
        self.program, self.dir = program, tempfile.mkdtemp()
        os.chmod(self.dir, 0o755)

    def answer(self, policy):
        """"" if emberd accepts it, else what it says."""
        path = pathlib.Path(self.dir, "50-try.json")
        path.write_text(json.dumps(policy))
        done = subprocess.run([self.program, "--check", "--policy-dir", self.dir], capture_output=True, text=True,
                              check=False)
        if done.returncode not in (0, 10):
            sys.exit(f"emberd --check ended with {done.returncode}: {done.stderr}")
        return done.stderr.strip() if done.returncode else ""


def resolve(schema, node):
    while "$ref" in node:
        target = schema
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def objects(schema, node, path=()):
    """(path, node) of every object that the schema describes; a list is entered as its element 0."""
    node = resolve(schema, node)
    if node.get("type") == "object":
        yield path, node
        for name, child in node.get("properties", {}).items():
            yield from objects(schema, child, path + (name,))
    elif node.get("type") == "array":
        yield from objects(schema, node["items"], path + (0,))


def smallest(path):
    """A policy that emberd accepts, in which the object at path exists."""
    policy = {"version": 1}
    if path[:1] == ("tiers",):
        policy["tiers"] = [{"nodes": [0], "rank": 0}]
    elif path[:1] == ("rules",):
        policy["rules"] = [{}]
    at = policy
    for step in path:
        if isinstance(step, str):
            at = at.setdefault(step, {})
        else:
            at = at[step]
    return policy


def with_value(path, key, value):
    policy = smallest(path)
    at = policy
    for step in path:
        at = at[step]
    at[key] = copy.deepcopy(value)
    return policy


def check_keys(emberd, path, node):
    said = emberd.answer(with_value(path, "no-such-key", 0))
    found = re.search(r"unknown key \(there are: (.*)\)", said)
    if not found:
        return [f"emberd names no keys: {said!r}"]
    parser = set(found.group(1).split(", "))
    parser |= {key for key in EVERYWHERE | {"$schema"} if not emberd.answer(with_value(path, key, "x"))}
    schema = set(node["properties"])
    return ([f"emberd knows {key!r}, the schema does not" for key in sorted(parser - schema)] +
            [f"the schema has {key!r}, emberd does not know it" for key in sorted(schema - parser)])


def limits(node):
    """Integers around every limit in a property and its alternatives."""
    for key, step in (("minimum", -1), ("maximum", 1), ("const", 1)):
        if isinstance(node.get(key), int):
            yield from (node[key], node[key] + step)
    for child in node.get("oneOf", []) + ([node["items"]] if "items" in node else []):
        yield from limits(child)


def values(node):
    for value in SAMPLES + sorted(set(limits(node))):
        yield value
        if node.get("type") == "array" and isinstance(value, int):
            yield [value]
    yield from node.get("enum", [])


def is_exact(value):
    """Must both agree on it, or may emberd be stricter? It knows better what a string says."""
    return not isinstance(value, str) and not isinstance(value, dict)


def check_values(emberd, validator, path, key, node):
    for value in values(node):
        policy = with_value(path, key, value)
        valid, said = validator.is_valid(policy), emberd.answer(policy)
        if not said and not valid:
            yield f"{key}: emberd accepts {value!r}, the schema does not"
        elif said and valid and (is_exact(value) or value in node.get("enum", [])):
            yield f"{key}: the schema accepts {value!r}, emberd does not: {said}"


def main():
    emberd, policies = Emberd(sys.argv[1]), pathlib.Path(sys.argv[2])
    schema = json.loads((policies / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    nr_properties, wrong = 0, []
    for path, node in objects(schema, schema):
        found = check_keys(emberd, path, node)
        for key, child in node["properties"].items():
            nr_properties += 1
            found += check_values(emberd, validator, path, key, resolve(schema, child))
        wrong += ["/" + "/".join(str(step) for step in path) + ": " + what for what in found]
    for path in sorted(policies.rglob("*.json")):
        if path.name != "schema.json":
            policy = json.loads(path.read_text())
            wrong += [f"{path.name}: {error.message}" for error in validator.iter_errors(policy)]
            wrong += [said] if (said := emberd.answer(policy)) else []
    print("\n".join(wrong) or f"schema: {nr_properties} keys, as emberd reads them")
    return 1 if wrong else 0


sys.exit(main())
