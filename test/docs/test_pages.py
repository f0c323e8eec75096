"""What the pages say of files, functions and defaults is true."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest
import yaml
from ros_tools import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "weights" / "README.md"])
CALL = re.compile(r"`([a-z_]\w*)\(([\w, ]*)\)`")
FILE = re.compile(r"`([\w./]+\.py)`")


@cache
def functions() -> dict[str, list[set[str]]]:
    """The parameters of each function and method of the package, by its name."""
    found: dict[str, list[set[str]]] = {}
    for path in (ROOT / "fcn_follow").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                found.setdefault(node.name, []).append({argument.arg for argument in arguments})
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_functions_and_files_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8").replace("\n", " ")
    known = functions()
    for name, arguments in CALL.findall(text):
        named = set(filter(None, re.split(r"[, ]+", arguments)))
        assert any(named <= parameters for parameters in known.get(name, [])), f"{page}: {name}({arguments})"
    for file in FILE.findall(text):
        assert (ROOT / file).is_file() or any(ROOT.glob(f"*/**/{file}")), f"{page}: {file}"


def test_the_defaults_in_interfaces_md_are_those_of_the_code():
    tree = yaml.safe_load((ROOT / "config" / "follow.yaml").read_text())
    sections = {name.rpartition("/")[2]: content["ros__parameters"] for name, content in tree.items()}
    table = (ROOT / "docs" / "interfaces.md").read_text().partition("## Parameters")[2]
    checked = 0
    for line in re.findall(r"^\| (`.*?) \| (.*?) \|", table, re.MULTILINE):
        names, defaults = (part.replace("`", "").split(", ") for part in line)
        assert len(names) == len(defaults), line
        path: list[str] = []
        for name, default in zip(names, defaults, strict=True):
            path = name.split(".") if name[0] != "." else [*path[:-1], name[1:]]
            value = sections[path[0]] if path[0] in sections else sections["**"][path[0]]
            for part in path[1:]:
                value = value[part]
            assert yaml.safe_load("''" if default == "empty" else default) == value, line
            checked += 1
    assert checked > 20


def test_the_readme_and_training_md_train_a_hero_with_the_same_commands():
    def commands(page: str, heading: str) -> list[str]:
        block = (ROOT / page).read_text().partition(f"## {heading}\n")[2].split("```")[1]
        return [re.sub(r" +# .*", "", line) for line in block.strip().splitlines()]

    assert commands("README.md", "Train your hero") == commands("docs/training.md", "A network for your own person")
