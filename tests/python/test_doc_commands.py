"""The commands that the pages show run, page by page, in a folder with the files that they name.

Blocks ``sh`` are scripts. Blocks ``console`` have commands after ``$`` and what they print, of which the words are compared:
numbers may differ, and a line ``...`` stands for any lines. Blocks ``text`` that begin with a program are its options.
Blocks ``python`` and ``toml`` whose first line is a comment such as ``# survey.toml`` are files.
"""

import os
import re
import shutil
import signal
import subprocess

import doc_supplies
import pytest
from launch import ROOT

#: A subcommand with its options, in a block or a line.
SYNOPSIS = re.compile(r"\b(dolmen|mapmaker) (solve|info|convert|check|run|simulate|(?<=mapmaker )import|noise|compare)\b([^`\n]*(?:\n {7,}.*)*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
#: Words that begin a line of a script and start nothing but programs of the project.
KNOWN = {"dolmen", "mapmaker", "mpirun", "python", "target/release/dolmen", "exec", "trap", "wait", "while", "exit", "which", "#"}
#: On more ranks than this a page's command runs on 3, which is another number than the pages' 4.
MOST_RANKS = 4
#: Commands that do not run here, and the reason.
NOT_RUN = {
    "make demo     # installs what is missing, builds both programs, makes maps, solves a system": ".ci/run runs it",
    "make test     # runs every test, on 1, 2, 3, 4 and 7 ranks": "runs this test",
    "make python      # builds the module into out/venv": "builds",
    "cargo install --path examples/mapmaker": "builds",
    "cargo install --path examples/dolmen": "builds",
    "cargo new stones && cd stones": "scripts/dependent.sh builds this crate",
    "cargo build --release": "builds",
    "mpirun -n 4 target/release/stones": "scripts/dependent.sh runs it",
    "srun target/release/stones": "needs Slurm",
    "srun -n 64 python poisson.py": "needs Slurm",
    "DOLMEN_CHECK=1 mpirun -n 2 stones": "no such program; tests of the core have these calls",
    "mpirun --mca oob_tcp_keepalive_time 3 --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 3 PROGRAM": "of Open MPI only",
    "python3 -m venv dolmen": "scripts/wheel-test.sh installs the wheel",
    ". dolmen/bin/activate": "scripts/wheel-test.sh installs the wheel",
    "pip install 'dolmen-0.1.0-cp39-abi3-manylinux_2_35_x86_64.whl[mpich]'": "scripts/wheel-test.sh installs the wheel",
    "pip install ./bindings": "builds",
    "spack repo add scripts/packages/spack/spack_repo/dolmen": "needs Spack",
    "spack install dolmen ^mpich": "needs Spack",
    "spack load dolmen": "needs Spack",
    "rattler-build build --recipe scripts/packages/conda/recipe.yaml -c conda-forge --output-dir out/conda": "needs rattler-build",
    "conda create -n dolmen -c ./out/conda -c conda-forge dolmen": "needs conda",
    "conda activate dolmen": "needs conda",
    "pip install jupyterlab ipyparallel mpi4py matplotlib": "scripts/python-module.sh installs what tests need",
    "mpirun -n 2 python -c 'import dolmen; print(dolmen.world)'": "shows two MPI libraries that do not fit",
    'scripts/bare-machine.sh -c plain "make setup" "python3 -m venv --system-site-packages /opt/dolmen" '
    '"scripts/packages/install.sh /opt/dolmen"': "makes a system",
}


def commands_of(text):
    """Return the scripts of a page: pairs of a script and what it prints, None if the page does not say."""
    found = []
    for language, block in FENCE.findall(text):
        block = re.sub(r"\\\n\s*", "", block)
        if language == "sh":
            found.append((block, None))
        elif language == "console":
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, printed = part.partition("\n")
                found.append((f"{command}\n", printed or None))
    return found


def files_of(text):
    """Return the files that a page shows: blocks whose first line is a comment with their name, and the first of Python as script.py."""
    blocks = [(language, block) for language, block in FENCE.findall(text) if language in ("python", "toml")]
    named = [(match[1], block) for _, block in blocks if (match := re.match(r"# (\w+\.(?:py|toml))\n", block))]
    scripts = [("script.py", block) for language, block in blocks if language == "python"]
    return [*scripts[:1], *named]


def runnable(script):
    """Return a script without the lines that do not run here."""
    return "".join(line for line in script.splitlines(keepends=True) if line.strip() not in NOT_RUN and not line.startswith("#"))


PAGES = {
    str(path.relative_to(ROOT)): commands_of(path.read_text())
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
WITH_COMMANDS = [name for name, commands in PAGES.items() if any(runnable(script) for script, _ in commands)]


def first_words(script):
    """Return the word that begins each line of a script, without variables that are set for it."""
    return [re.sub(r"^(\w+=\S* +)*", "", line).split(maxsplit=1)[0] for line in script.splitlines() if line.strip()]


def words(text):
    """Return a text with all numbers the same and with single blanks."""
    text = re.sub(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "0", text)
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


def printed_as(shown):
    """Return a pattern of the words that a page shows, for the words of an output."""
    lines = ["(?:.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in words(shown).splitlines()]
    return re.compile("".join(lines))


def on_few_ranks(script):
    def launcher(match):
        ranks = int(match[1] or 2)
        return f"{ROOT}/scripts/mpirun.sh -n {ranks if ranks <= MOST_RANKS else 3} "

    return re.sub(r"\bmpirun (?:-n (\d+) )?", launcher, script)


def environment(supplies):
    return doc_supplies.environment(PATH=f"{supplies}/bin{os.pathsep}{os.environ['PATH']}")


def run(script, folder):
    command = ["sh", "-eux", "-c", on_few_ranks(script)]
    process = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, f"exit code {process.returncode}\n{process.stderr}{process.stdout}"
    return process.stdout


@pytest.fixture(scope="module")
def supplies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("supplies")
    doc_supplies.make(folder)
    return folder


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_the_commands_of_a_page_run(name, supplies, tmp_path):
    unknown = {word for script, _ in PAGES[name] for word in first_words(runnable(script))} - KNOWN
    assert not unknown, f"{name} has commands that are neither known nor in NOT_RUN: {unknown}"
    folder = tmp_path / "page"
    shutil.copytree(supplies, folder, symlinks=True)
    for file, text in files_of((ROOT / name).read_text()):
        (folder / file).write_text(text)
    for script, shown in PAGES[name]:
        if script := runnable(script):
            printed = run(script, folder)
            assert not shown or printed_as(shown).fullmatch(words(printed) + "\n"), f"{name} shows\n{shown}\nand this prints\n{printed}"


def test_the_script_for_sigterm_stops_a_solve_with_a_checkpoint(supplies, in_folder):
    if subprocess.check_output(["sh", "-c", ". scripts/which-mpi.sh; echo $MPI"], cwd=ROOT, text=True) != "openmpi\n":
        pytest.skip("the script is for mpirun of Open MPI")
    [script] = [script for script, _ in PAGES["docs/checkpoints.md"] if "trap" in script]
    script = script.replace("dolmen solve", "dolmen solve --solver cg --preconditioner none --monitor")
    doc_supplies.make_long_solve("A.mtx")
    process = subprocess.Popen(
        ["sh", "-c", on_few_ranks(script)], env=environment(supplies), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        printed = next(line for line in process.stdout if "iteration" in line)
        process.terminate()
        rest, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 75, printed + rest[-3000:]
    assert [path.suffix for path in (in_folder / "saved").glob("checkpoint-*")] == [".h5"]


def test_what_does_not_run_is_in_a_page():
    lines = {line.strip() for commands in PAGES.values() for script, _ in commands for line in script.splitlines()}
    assert not NOT_RUN.keys() - lines


@pytest.mark.parametrize("name", PAGES)
def test_blocks_say_their_language(name):
    """Commands in a block without a language, or in an indented one, would not run."""
    text = (ROOT / name).read_text()
    assert "" not in [language for language, _ in FENCE.findall(text)]
    assert not re.search(r"\n\n(?: {4}|\t)\S", FENCE.sub("", text))


def test_pages_with_rust_are_tested():
    with_rust = {name for name in PAGES if "\n```rust" in (ROOT / name).read_text()}
    assert with_rust == set(re.findall(r'include_str!\("../(\S+\.md)"\)', (ROOT / "src" / "lib.rs").read_text()))


def options_of(help_text):
    """Return the options of a subcommand, each with the name of its value, which is empty if it has none."""
    options = dict(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)(?: <(\w+)>)?", help_text, re.MULTILINE))
    del options["--help"]
    return options


@pytest.fixture(scope="module")
def helps():
    """The options of each subcommand of the programs."""
    def printed(*command):
        return subprocess.run(command, env=doc_supplies.environment(), capture_output=True, text=True, check=True).stdout

    found = {}
    for name in ("dolmen", "mapmaker"):
        program = doc_supplies.program(name)
        _, _, listed = printed(program, "--help").partition("Commands:\n")
        for subcommand in re.findall(r"^  (\w+) ", listed.partition("\n\n")[0], re.MULTILINE):
            if subcommand != "help":
                found[name, subcommand] = options_of(printed(program, subcommand, "--help"))
    return found


@pytest.mark.parametrize("name", [name for name in PAGES if SYNOPSIS.search((ROOT / name).read_text())])
def test_commands_in_the_text_have_the_options_of_the_help(name, helps):
    for program, subcommand, rest in SYNOPSIS.findall((ROOT / name).read_text()):
        assert (program, subcommand) in helps, f"{program} {subcommand}"
        options = helps[program, subcommand]
        unknown = set(OPTION.findall(rest)) - options.keys()
        assert not unknown, f"{program} {subcommand} has no {unknown}"
        named = re.findall(r"(--[a-z-]+) ([A-Z]{2,})\b", rest)
        others = [(option, value) for option, value in named if options[option] != value]
        assert not others, f"the help of {program} {subcommand} gives another name to {others}"


@pytest.mark.parametrize("name", ["dolmen", "mapmaker"])
def test_the_page_of_a_program_has_all_options(name, helps):
    spans = re.findall(r"`([^`]*)`|^```text\n(.*?)^```", (ROOT / "docs" / f"{name}.md").read_text(), re.MULTILINE | re.DOTALL)
    named = {option for span in spans for option in OPTION.findall("".join(span))}
    for (program, subcommand), options in helps.items():
        assert program != name or not options.keys() - named, f"{program} {subcommand}: {options.keys() - named}"
