"""Installs fcn_follow with colcon (ament_python) and with pip; the rest for pip is in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = "fcn_follow"
SHARED = ("launch", "config", "weights", "worlds", "models")


def shared_files() -> list[tuple[str, list[str]]]:
    """Where the files that are not code go: share/fcn_follow, as ROS and share.py expect them."""
    files = [
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ]
    folders = [path for folder in SHARED for path in (Path(folder), *Path(folder).rglob("*")) if path.is_dir()]
    for folder in folders:
        inside = sorted(str(path) for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        if inside:
            files.append((f"share/{NAME}/{folder.as_posix()}", inside))
    return files


setup(
    name=NAME,
    version="0.1.0",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed", "*/templates/*", "*/*/templates/*"]},
    data_files=shared_files(),
    zip_safe=True,
    extras_require={"test": ["pytest"]},  # by this `colcon test` knows its runner
    entry_points={
        "console_scripts": [
            "fcn-follow = fcn_follow.cli:main",
            "segmenter = fcn_follow.nodes.executables:segmenter",
            "segmenters = fcn_follow.nodes.executables:segmenters",
            "follower = fcn_follow.nodes.executables:follower",
            "player = fcn_follow.nodes.executables:player",
            "simulator = fcn_follow.nodes.executables:simulator",
            "scorer = fcn_follow.nodes.executables:scorer",
            "recorder = fcn_follow.nodes.executables:recorder",
        ]
    },
)
