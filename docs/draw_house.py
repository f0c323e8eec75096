"""The house of docs/architecture.md, drawn from the imports: `python docs/draw_house.py` brings the page up to date."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn by docs/draw_house.py -->\n", "<!-- end -->\n"
FLYING_NODES = ("fcn_follow.nodes.segmenter", "fcn_follow.nodes.follower")
BOXES = {
    "cli": "cli",
    "runner": "runner",
    "ground_nodes": "nodes: player, simulator, scorer, recorder",
    "gazebo": "gazebo",
    "simulation": "simulation",
    "lab": "lab",
    "flying_nodes": "nodes: segmenter, follower",
    "perception": "perception",
    "following": "following",
    "autopilots": "autopilots",
    "inference": "inference",
    "networks": "networks",
}
TITLES = {"ground": "on the ground", "air": "in the air"}
FLYING = ("flying_nodes", "perception", "following", "autopilots", "inference", "networks")


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in sorted((ROOT / "fcn_follow").rglob("*.py"))}


@cache
def imports(module: str) -> frozenset[str]:
    """What a module imports, inside functions too: this package's modules by their full names, and whatever else."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.module is None or node.level:
                raise ValueError(f"{module}: a relative import")
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(found)


def own_imports(module: str) -> Iterable[str]:
    """The modules of this package that a module imports."""
    return imports(module) & MODULES.keys()


def reached(names: Iterable[str], needs: Callable[[str], Iterable[str]] = own_imports) -> set[str]:
    """These modules, or boxes, and all that they need."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs(name)
    return found


def room(module: str) -> str:
    """The folder, or the module at the top, in which a module of this package is."""
    return module.split(".")[1] if "." in module else "__init__"


def picture() -> str:
    """The house in Mermaid's language: an arrow where a box imports from another, but for what arrows say already."""
    flying = reached(FLYING_NODES)
    boxes = {
        module: ("flying_nodes" if module in flying else "ground_nodes") if room(module) == "nodes" else room(module)
        for module in MODULES
    }
    below: dict[str, set[str]] = {box: set() for box in BOXES}
    for module, box in boxes.items():
        if box in BOXES:
            below[box] |= {boxes[other] for other in own_imports(module)} & BOXES.keys() - {box}
    lines = ["flowchart TD"]
    for where, names in (("ground", [box for box in BOXES if box not in FLYING]), ("air", FLYING)):
        lines += [
            f'    subgraph {where}["{TITLES[where]}"]',
            *(f'        {name}["{BOXES[name]}"]' for name in names),
            "    end",
        ]
    for box, others in below.items():
        indirect = reached((each for other in others for each in below[other]), below.__getitem__)
        lines += [f"    {box} --> {other}" for other in sorted(others - indirect)]
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def page() -> str:
    """The page with the picture of now."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + picture() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
