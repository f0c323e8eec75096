"""The look of a person, its likeness to others, and its file."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import BLACK, BLUE, RED, WHITE, scene

from fcn_follow.errors import UserError
from fcn_follow.nodes.support.appearance_file import read_appearance
from fcn_follow.perception.appearance import MAX_FILE_BYTES, Appearance, appearance_of


def look(upper, lower, light: float = 1.0, seed: int = 0) -> Appearance:
    image, labels = scene((160, 200, upper, lower), light=light, seed=seed)
    window = (slice(140, 200), slice(150, 170))
    return appearance_of(image[window], labels[window] > 0)


def test_the_same_clothes_are_alike_and_others_are_not():
    hero = look(RED, BLACK)
    assert hero.likeness(look(RED, BLACK, seed=1)) > 0.9
    assert hero.likeness(look(BLUE, WHITE)) < 0.1
    assert 0.4 < hero.likeness(look(RED, WHITE)) < 0.6
    assert 0.4 < hero.likeness(look(BLUE, BLACK)) < 0.6
    assert hero.likeness(look(BLACK, RED)) < 0.2  # the same colours, but the other way round


def test_a_mixture_lies_between_and_its_usual_likeness_is_that_of_its_frames():
    first, second = look(RED, BLACK), look(RED, WHITE)
    mixed = first.mixed(second, 0.5)
    assert first.likeness(second) < mixed.likeness(second) < 1.0
    assert mixed.usual == pytest.approx(0.5 + 0.5 * first.likeness(second))
    assert mixed.histograms.sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-4)


def test_a_file_gives_the_same_appearance(tmp_path):
    hero = look(RED, BLUE).mixed(look(RED, BLUE, seed=3), 0.3)
    path = tmp_path / "hero.json"
    path.write_text(hero.to_json())
    assert path.stat().st_size < 10_000
    read = read_appearance(path)
    assert np.allclose(read.histograms, hero.histograms, atol=1e-5)
    assert read.usual == pytest.approx(hero.usual, abs=1e-4)


WRITTEN = json.loads(look(RED, BLUE).to_json())


def changed(**values: object) -> str:
    return json.dumps({**WRITTEN, **values})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is no JSON"),
        ("[" * 60_000, "it is no JSON"),
        ("[]", 'it is no appearance: "format" must be'),
        ("{}", 'it is no appearance: "format" must be'),
        (changed(version=2), "it is of version 2, and this program reads 1"),
        (changed(version="9" * 500), "it is of version '999"),
        (changed(usual="much"), '"usual" must be a number from 0 to 1'),
        (changed(usual=True), '"usual" must be a number from 0 to 1'),
        (changed(usual=float("nan")), '"usual" must be a number from 0 to 1'),
        (changed(upper=[1.0]), '"upper" must be a list of 192 numbers'),
        (changed(lower=[True] * 192), '"lower" must be a list of 192 numbers'),
        (changed(lower=[0.5] * 192), 'the numbers of "lower" must be 0 or more and have the sum 1'),
        (changed(lower=[10**400] + [0] * 191), 'the numbers of "lower" must be 0 or more and have the sum 1'),
        (changed(upper=[2.0, -1.0] + [0.0] * 190), 'the numbers of "upper" must be 0 or more and have the sum 1'),
        (" " * (MAX_FILE_BYTES + 1), f"it is larger than {MAX_FILE_BYTES} bytes"),
        (b"\xff\xfe", "can't decode"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason_and_what_to_do(tmp_path, text, reason):
    path = tmp_path / "hero.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as refused:
        read_appearance(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: the hero's appearance cannot be read: ")
    assert reason in message and message.endswith("give another, or point at the hero anew")
    assert len(message) < 500


def test_a_folder_is_no_appearance(tmp_path):
    with pytest.raises(UserError, match="Is a directory"):
        read_appearance(tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
)
def test_any_value_in_any_place_is_an_appearance_or_refused(value):
    for name in ("format", "version", "usual", "upper", "lower"):
        try:
            found = Appearance.from_json(changed(**{name: value}))
        except UserError:
            continue
        assert np.isfinite(found.histograms).all() and 0.0 <= found.usual <= 1.0


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_picture_of_any_size_has_an_appearance(height, width, seed):
    rng = np.random.default_rng(seed)
    found = appearance_of(rng.integers(0, 256, (height, width, 3), np.uint8), rng.random((height, width)) < 0.5)
    sums = found.histograms.sum(axis=1)
    assert ((sums == 0.0) | (np.abs(sums - 1.0) < 1e-3)).all()
    assert -1e-6 <= found.likeness(found) <= 1.0 + 1e-5
