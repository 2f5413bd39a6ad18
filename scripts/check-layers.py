#!/usr/bin/env python3
"""Check that the workspace's crates depend on each other only in the directions we allow.

    core  <-  solvers                         (solvers never sees files)
    core  <-  io                              (io never sees solvers)
    core, solvers, io  <-  examples, bindings, tests
    examples  <-  examples                    (programs share their command line and pictures)
    examples  <-  tests                       (tests run what the examples show)
    tests     <-  tests                       (each crate has its tests, all the harness)

Reads `cargo metadata`; prints each forbidden dependency and ends with 1 if there is one.
"""

import json
import pathlib
import subprocess
import sys

LIBRARIES = {"core", "solvers", "io"}
ALLOWED = {
    "core": set(),
    "solvers": {"core"},
    "io": {"core"},
    "examples": LIBRARIES | {"examples"},
    "bindings": LIBRARIES,
    "tests": LIBRARIES | {"examples", "tests"},
}


def layers_of(metadata):
    """Crate name -> the top folder it lives in."""
    root = pathlib.Path(metadata["workspace_root"])
    return {
        package["name"]: pathlib.Path(package["manifest_path"]).relative_to(root).parts[0]
        for package in metadata["packages"]
    }


def forbidden(metadata):
    """One line for each dependency against the rules, development dependencies included."""
    layers = layers_of(metadata)
    for package in metadata["packages"]:
        layer = layers[package["name"]]
        if layer not in ALLOWED:
            yield f"{package['name']}: the folder {layer}/ has no place among the layers"
            continue
        for dependency in package["dependencies"]:
            target = layers.get(dependency["name"])
            if target is not None and target not in ALLOWED[layer]:
                yield f"{package['name']} ({layer}) must not depend on {dependency['name']} ({target})"


def main():
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    violations = sorted(set(forbidden(metadata)))
    for line in violations:
        print(f"layers: {line}", file=sys.stderr)
    if not violations:
        print(f"layers: {len(metadata['packages'])} crates depend on each other as drawn")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
