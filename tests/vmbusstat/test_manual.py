"""The manual page, the shell's completion and the program's own help say the same."""

import ast
import re
import shutil
import subprocess
import sys

from bench import TOOL, TOP, case

MANUAL = TOP / "tools/vmbusstat.8"
COMPLETION = TOP / "tools/completions/vmbusstat"


def options(bench):
    """Long and short ones, of --help."""
    said = bench.run("--help").partition("\noptions:")[2]
    return set(re.findall(r"(?<![\w-])(--[a-z-]+|-[a-z])(?=[ ,\n])", said))


def output(*command, **more):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more).stdout


@case
def manual_is_sound(_):
    """No warning from mandoc or groff, whichever is there."""
    said = []
    if shutil.which("mandoc"):
        said.append(output("mandoc", "-Tlint", "-Wwarning", str(MANUAL)))
    if shutil.which("man"):
        said.append(output("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(MANUAL)).partition("x T utf8")[0])
    assert said and not any(said), said or "neither mandoc nor man is installed"


@case
def manual_has_all(bench):
    """Each option, column and JSON key; none that there is not."""
    found = options(bench)
    assert {"--watch", "-w", "--spread", "--dry-run", "--root", "--help"} <= found, found
    text = MANUAL.read_text()
    flags = {f"-{flag}" for flag in re.findall(r"(?:\bFl |, )(-?[a-z][a-z-]*)(?= |\n|$)", text)} | \
        {f"-{letter}" for letters in re.findall(r"\.Op Fl ([a-z]{2,})\n", text) for letter in letters}
    described = {flag for line in re.findall(r"(?m)^\.It (Fl .*)$", text)
                 for flag in re.findall(r"(?:Fl|,) (-?[a-z][a-z-]*)", line)}
    assert {f"-{flag}" for flag in described} == found, f"{described} {found}"
    assert found >= {flag for flag in flags if flag.startswith("--")}, flags - found
    columns = re.search(r"--sort COLUMN\s+sort by one of: ([a-z,\s]+?)\n\s+-r", bench.run("--help"))[1]
    for column in re.findall(r"[a-z]+", columns):
        assert re.search(rf"(?m)^\.It Cm (\w+ , Cm )?{column}\b", text), column


@case
def completes(bench):
    """Options, columns, devices of this machine, directories."""
    def complete(*words):
        script = (f". {COMPLETION}; COMP_WORDS=(vmbusstat \"$@\"); COMP_CWORD=$#; _vmbusstat; "
                  "[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\\n' \"${COMPREPLY[@]}\"")
        return output("bash", "-euc", script, "bash", *words, cwd=bench.where).splitlines()

    assert set(complete("-")) == options(bench)
    assert complete("--wa") == ["--watch"]
    assert complete("--cpu", "--sort", "o") == ["out", "outempty"]
    assert complete("-i", "") == []
    bench.run("--root", bench.tree().machine().path)
    assert complete("--root", "tr") == ["tree1"]
    # What is below /sys here is as it is; that of another tree is what is expected.
    tree = bench.tree("loop-6.1.1")
    tree.write("bus/vmbus/devices/4e1c0000-4e1c-4e1c-1c4e-1c4e1c4e1c4e/net/eth7/address", "")
    other = bench.where / "completion"
    other.write_text(COMPLETION.read_text().replace("/sys/", f"{tree.path}/"))
    script = f". {other}; COMP_WORDS=(vmbusstat --spread \"$1\"); COMP_CWORD=2; _vmbusstat; echo \"${{COMPREPLY[@]}}\""
    assert output("bash", "-euc", script, "bash", "4e1c").split() == \
        ["4e1c0000-4e1c-4e1c-1c4e-1c4e1c4e1c4e", "4e1c0001-4e1c-4e1c-1c4e-1c4e1c4e1c4e"]
    assert output("bash", "-euc", script, "bash", "et").split() == ["eth7"]


@case
def names_are_those_of_lsvmbus(_):
    """The kernel's own tool calls devices the same."""
    source = output(str(TOP / "tests/setup/source"), "6.1").split()[-1]
    with open(f"{source}/tools/hv/lsvmbus", encoding="utf-8") as file:
        theirs = dict(re.findall(r"'\{([0-9a-f-]{36})\}'\s*:\s*'(.*)'", file.read()))
    tree = ast.parse(TOOL.read_text())
    ours = [ast.literal_eval(node.value) for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NAMES"][0]
    assert len(theirs) > 15 and theirs == ours, set(theirs.items()) ^ set(ours.items())


@case
def standard_library_alone(_):
    """One file that Python 3.11 takes, no line too long."""
    text = TOOL.read_text()
    tree = ast.parse(text, feature_version=(3, 11))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names} | \
        {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert found and found <= sys.stdlib_module_names, found
    assert text.startswith("#!/usr/bin/python3\n") and max(map(len, text.splitlines())) <= 125
