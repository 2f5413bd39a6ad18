#!/usr/bin/env python3
"""Check the language of code and pages: scripts/check-prose.py

- No doc line of Rust begins with What, Whether, Where, How, When or Why, unless it asks a question: a summary is read
  by itself, in a list.
- Spelling is American, in names too.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUFFIXES = (".rs", ".md", ".py")
# Not checked: this file, which lists the words.
SKIPPED = ("scripts/check-prose.py",)

OPENING = re.compile(r"^\s*//[/!]\s*(What|Whether|Where|How|When|Why)\b")

# Words of others: names of columns and comments of HEALPix, a method of Python, and the script that all shells source.
QUOTED = re.compile(r"[IQU]_POLARISATION|HEALPIX pixelisation|polarisation convention, COSMO or IAU|flavour\.sh|future\.cancelled\(\)")
# A word in camel case or snake case is several.
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
BRITISH = re.compile(
    r"\w*(behavi|col|fav|flav|harb|hon|hum|lab|neighb)our\w*"
    r"|(centr|fibr|kilometr|theatr)(e|es|ed|ing)|grey\w*|licen(ce|ces)|defence|catalogue\w*|artefact\w*|programme|judgement"
    r"|(cancel|channel|fuel|label|level|marshal|model|signal|total|travel)l(ed|er|ers|ing)"
    r"|(ana|cata|para)lys(e|ed|er|ers|ing)|towards|whilst|amongst|learnt|spelt|ageing"
)
# Initialise, and so on; not promise.
VERB = re.compile(r"(\w+)is(ation|ations|e|ed|er|ers|es|ing)")
WITH_S = {"adv", "ar", "chem", "compr", "comprom", "conc", "dev", "disgu", "enterpr", "exerc", "expert", "fadv", "madv", "no", "parad",
          "po", "pra", "prec", "prem", "prom", "r", "ra", "rev", "superv", "surpr"}


def is_british(word):
    verb = VERB.fullmatch(word)
    return bool(BRITISH.fullmatch(word) or (verb and verb[1] not in WITH_S and not verb[1].endswith("w")))


def british(text):
    return [word for word in WORD.findall(QUOTED.sub("", text)) if is_british(word.lower())]


def findings(name):
    lines = (ROOT / name).read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        opening = name.endswith(".rs") and OPENING.match(line)
        if opening and not line.rstrip().endswith("?"):
            yield f"{name}:{number}: a doc line begins with {opening[1]}; begin with a verb or a noun"
        for word in british(line):
            yield f"{name}:{number}: {word} is British; spell it as Americans do"


def main():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")
    names = [name for name in listed if name.endswith(SUFFIXES) and name not in SKIPPED and (ROOT / name).is_file()]
    found = [finding for name in names for finding in findings(name)]
    print("\n".join(found) if found else f"prose: {len(names)} files")
    return 1 if found else 0


sys.exit(main())
