#!/usr/bin/env python3
"""Check that the workspace's crates depend on each other only in the directions we allow.

    core  <-  solvers                         (solvers never sees files)
    core  <-  io                              (io never sees solvers)
    core, solvers, io  <-  dolmen (the top) <-  examples, bindings, tests
    examples  <-  examples                    (programs share their command line and pictures)
    examples  <-  bindings                    (Python has the map-maker)
    examples  <-  tests                       (tests run what the examples show)
    tests     <-  tests                       (each crate has its tests, all the harness)

A published crate depends on published ones alone, development dependencies aside.

Reads `cargo metadata`; prints each forbidden dependency and ends with 1 if there is one.
"""

import json
import pathlib
import subprocess
import sys

LIBRARIES = {"core", "solvers", "io", "Cargo.toml"}
ALLOWED = {
    # The package at the top, which joins the others.
    "Cargo.toml": {"core", "solvers", "io"},
    "core": set(),
    "solvers": {"core"},
    "io": {"core"},
    "examples": LIBRARIES | {"examples"},
    "bindings": LIBRARIES | {"examples"},
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
    unpublished = {package["name"] for package in metadata["packages"] if package["publish"] == []}
    for package in metadata["packages"]:
        layer = layers[package["name"]]
        if layer not in ALLOWED:
            yield f"{package['name']}: the folder {layer}/ has no place among the layers"
            continue
        for dependency in package["dependencies"]:
            target = layers.get(dependency["name"])
            published = package["name"] not in unpublished and dependency["kind"] != "dev"
            if published and dependency["name"] in unpublished:
                yield f"{package['name']} is published and must not depend on {dependency['name']}, which is not"
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
