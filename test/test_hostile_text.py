"""Hostile YAML, parameter values and names: one short, printable line, whatever they hold."""

from __future__ import annotations

import re
import sqlite3

import pytest
from bag_files import SQLITE3, image, storage_file, write_bag
from command_line import fcn_follow, invoke
from drawn_frames import frame, write_frames

from fcn_follow.errors import UserError, shown
from fcn_follow.lab.data.split import read_split
from fcn_follow.lab.training.recipe import read_recipe
from fcn_follow.nodes.support.follower_parameters import FollowerNodeParameters
from fcn_follow.parameters import with_values
from fcn_follow.yaml_text import parse_yaml

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{c}: &{c} [{', '.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LAUGHS, r"has an alias \(\*a\)"),
        ("[" * 100_000, "nested deeper than 20 levels"),
        ("x: " + "{a: " * 30 + "}" * 30, "nested deeper than 20 levels"),
        ("x" * (1 << 20) + "y", "larger than 1 MB"),
        ("epochs: " + "1" * 5000, "Exceeds the limit"),
        ("epochs: 2001-99-99", "month must be in 1..12"),
    ],
    ids=["laughs", "deep", "deep mappings", "large", "digits", "date"],
)
def test_yaml_that_blows_up_is_refused(tmp_path, text, expected):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"a\.yaml: cannot be read as a recipe \({expected}"):
        read_recipe(path)
    with pytest.raises(UserError, match="cannot be read as a split file"):
        read_split(path)
    with pytest.raises(UserError, match=expected):
        parse_yaml(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs: 3\n  seed: 2", "line 2, column 7: a ':' that cannot be here"),
        ("epochs: 3\nnotes: a: b", "line 2, column 9: a ':' that cannot be here"),
        ("a:\n\tb: 1", "line 2, column 1: a tab; indent with spaces"),
        ("a: @home", "line 1, column 4: a text that begins with this character must be in quotes"),
        ("a:\n  b: 1\n c: 2", "line 3, column 2: this line does not fit the ones before it"),
        ("a: 1\nepochs 3\nb: 2", "line 2, column 1: a name without ': ' and a value"),
        ("a: 1\nb: [1, 2\nc: 3\n", "line 2, column 4: this bracket is not closed"),
        ("a: 'x\nb: 3\n", "line 1, column 4: this quote is not closed"),
        ("a: !python/object:x 3", "line 1, column 4: could not determine a constructor"),
        ("a: 1\nb: \x07", "line 2: the character 0x7, which is no text"),
    ],
)
def test_a_mistake_in_yaml_has_its_place_and_a_plain_sentence(tmp_path, text, expected):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(f"{path}: cannot be read as a recipe ({expected}")):
        read_recipe(path)


def test_a_yaml_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path):
    with pytest.raises(UserError, match=r"recipe \(No such file or directory\)$"):
        read_recipe(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_bytes(b"a: \xff")
    with pytest.raises(UserError, match=r"recipe \(it is no text in UTF-8: byte 3\)$"):
        read_recipe(tmp_path / "a.yaml")


@pytest.mark.parametrize("value", ["0x" + "f" * 5000, "-0x" + "f" * 5000, "[[[[1]]]]"], ids=["int", "negative", "deep"])
def test_values_of_impossible_length_are_refused_in_a_short_line(tmp_path, value):
    for name in ("epochs", "learning_rate"):
        (tmp_path / "a.yaml").write_text(f"{name}: {value}")
        with pytest.raises(UserError, match=f"parameter {name}") as caught:
            read_recipe(tmp_path / "a.yaml")
        assert len(str(caught.value)) < 400


def test_a_name_that_is_a_number_of_endless_digits_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text(f"? 0x{'f' * 5000}\n: 1")
    with pytest.raises(UserError, match="unknown parameter a huge int"):
        read_recipe(tmp_path / "a.yaml")


def test_a_text_parameter_that_has_a_default_must_not_be_empty():
    parameters = FollowerNodeParameters()
    for value in ("", "  "):
        with pytest.raises(UserError, match=r"mavros\.topic: .* is not allowed; it must be a text that is not empty"):
            with_values(parameters, {"mavros.topic": value})
    assert with_values(parameters, {"mavros.topic": "a/b"}).mavros.topic == "a/b"


def test_messages_are_one_printable_line_and_show_values_cut():
    assert str(UserError("a\nb\x1b[31mc\udcff")) == r"a\nb\x1b[31mc\udcff"
    assert len(shown("x" * 10**6)) <= 80
    assert len(shown([["x" * 100] * 100] * 100)) <= 80
    assert shown(int("f" * 5000, 16)) == "a huge int"
    with pytest.raises(UserError) as caught:
        with_values(FollowerNodeParameters(), {"mavros.topic": 7, "x" * 5000: 1})
    assert len(str(caught.value)) < 3000


def test_markup_and_terminal_codes_in_names_are_printed_as_they_are(tmp_path):
    path = write_bag(tmp_path / "[/x]", [("/a/image_raw", 1, image(frame(0)[0], 1))], SQLITE3)
    with sqlite3.connect(storage_file(path)) as database:
        database.execute("UPDATE topics SET name = '/[/x]\x1b[31m/[red]image_raw'")
    done = fcn_follow("bag-info", storage_file(path))
    assert done.returncode == 0, done.stderr
    assert "/[/x]\\x1b[31m/[red]image_raw" in done.stdout
    assert "\x1b" not in done.stdout
    frames = write_frames(tmp_path / "[/y]", 2)
    _, errors = invoke("frames-to-bag", frames, tmp_path / "[/z]")
    assert "[/z]: 2 frames" in errors
    done = fcn_follow("score", "--data", tmp_path / "[/nowhere]")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "[/nowhere]" in done.stderr
