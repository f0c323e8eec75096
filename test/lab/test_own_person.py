"""The frames of a clip for a training of one person: which are taken, how they are split, and what doubles are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from people import BLACK, BLUE, RED, WHITE, Person, scene
from torch import Tensor, nn

from fcn_follow.classes import HERO, OTHER_PEOPLE
from fcn_follow.errors import UserError
from fcn_follow.lab.own_person import (
    DOUBLE_LIKENESS,
    GAP_S,
    MAX_FRAMES,
    ClipFrame,
    ClipFrames,
    confirming_probability,
    double,
    doubles,
    knowledge,
    stretches,
)
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.appearance import appearance_of
from fcn_follow.perception.blobs import Box
from fcn_follow.perception.candidates import Candidate
from fcn_follow.perception.selection import Choice

SIZE_PX = 64
HERO_PERSON, OTHER = (40, 70, RED, BLACK), (80, 70, BLUE, WHITE)
USUAL = 0.95


def choice_of(labels: np.ndarray, numbers: Sequence[int], hero: int | None = 1, **changes: object) -> Choice:
    """Of 96 x 128 labels with people at known places; likeness 0.95 for the hero, 0.2 for others."""
    candidates = []
    for number, (x, y, *_) in zip(numbers, (HERO_PERSON, OTHER), strict=False):
        box = Box(x - 10, y - 60, x + 10, y)
        candidates.append(Candidate(number, box, np.ones((60, 20), np.bool_), (x, y - 30)))
    chosen = labels.copy()
    if hero is not None:
        chosen[10:70, 30:50] = HERO
    likeness = {number: USUAL if number == hero else 0.2 for number in numbers}
    values = {"labels": chosen, "candidates": tuple(candidates), "hero": hero, "likeness": likeness, **changes}
    return Choice(**values)  # type: ignore[arg-type]


def offered(*choices: Choice, step_s: float = 0.1) -> ClipFrames:
    clip = ClipFrames(SIZE_PX)
    for index, choice in enumerate(choices):
        clip.add(index * step_s, scene(HERO_PERSON, OTHER, size=(96, 128))[0], choice, USUAL)
    return clip


LABELS = scene(HERO_PERSON, OTHER, size=(96, 128))[1]


def test_only_frames_in_which_the_person_is_sure_are_taken():
    good = choice_of(LABELS, (1, 2))
    (frame,) = offered(good).frames
    assert frame.image.shape == (SIZE_PX, SIZE_PX, 3) and set(np.unique(frame.labels)) == {0, OTHER_PEOPLE, HERO}
    hero = good.candidates[0]
    part = Candidate(1, hero.box, hero.mask, hero.centroid_px, is_part=True)
    piece = Candidate(3, Box(30, 70, 40, 80), np.ones((10, 10), np.bool_), (35, 75))
    for doubtful in (
        choice_of(LABELS, (1, 2), asks="who is it?"),
        choice_of(LABELS, (1, 2), likeness={1: USUAL - 0.11, 2: 0.2}),
        choice_of(LABELS, (1, 2), candidates=(part, good.candidates[1])),
        choice_of(LABELS, (1, 2), candidates=(*good.candidates, piece)),
    ):
        assert not offered(doubtful).frames


def test_a_frame_without_the_person_is_taken_where_nobody_is_alike_and_after_a_second():
    seen, empty = choice_of(LABELS, (1, 2)), choice_of(LABELS, (1, 2), hero=None)
    clip = offered(seen, *[empty] * 20)
    assert clip.sure == 1 and [frame.time_s for frame in clip.frames if not frame.has_hero] == pytest.approx(
        np.arange(1.0, 2.05, 0.1)
    )
    alike = choice_of(LABELS, (1, 2), hero=None, likeness={1: USUAL - 0.3, 2: 0.2})
    assert len(offered(seen, *[alike] * 20).frames) == 1


def test_a_long_clip_is_thinned_out_evenly():
    clip = offered(*[choice_of(LABELS, (1, 2))] * 3000)
    times = [frame.time_s for frame in clip.frames]
    assert clip.sure == 3000 and MAX_FRAMES / 2 < len(times) <= MAX_FRAMES
    assert np.diff(times) == pytest.approx(np.full(len(times) - 1, 0.8))
    assert times[-1] > 299


def test_the_end_of_the_clip_judges_and_nothing_near_it_trains():
    parts = stretches(offered(*[choice_of(LABELS, (1, 2))] * 151))
    training, choosing, judging = ([f.time_s for f in part] for part in (parts.training, parts.choosing, parts.judging))
    assert judging == pytest.approx(np.arange(12.0, 15.05, 0.1)) and training[0] == 0.0
    assert min(choosing) - max(training) >= GAP_S - 1e-9 and min(judging) - max(choosing) >= GAP_S - 1e-9
    assert min(len(training), len(choosing), len(judging)) >= 9


@pytest.mark.parametrize("count", [0, 1, 50])
def test_a_clip_with_too_few_sure_frames_is_refused_with_their_number(count):
    with pytest.raises(UserError, match=rf"for certain in {count} frames, .* take a clip of 10 s or more"):
        stretches(offered(*[choice_of(LABELS, (1, 2))] * count))


def drawn(*people: Person, hero: bool = True) -> ClipFrame:
    image, labels = scene(*people, size=(96, 128))
    if hero:
        labels[10:70, 30:50] = HERO
    return ClipFrame(0.0, image, labels)


def test_a_double_is_somebody_else_in_other_clothes_at_the_same_place():
    frame, rng = drawn(HERO_PERSON, OTHER), np.random.default_rng(1)
    person, window = frame.labels == HERO, (slice(10, 70), slice(30, 50))
    look = appearance_of(frame.image[window], person[window])
    kept = set()
    for _ in range(30):
        made = double(frame, rng)
        assert made is not None and (made.labels[person] == OTHER_PEOPLE).all()
        assert (made.labels[~person] == frame.labels[~person]).all()
        assert (made.image[~person] == frame.image[~person]).all()
        likeness = look.likeness(appearance_of(made.image[window], person[window]))
        assert likeness < DOUBLE_LIKENESS
        kept.add(round(2 * likeness))
    assert kept == {0, 1}, "some keep the top or the trousers, some nothing"
    assert (frame.labels[person] == HERO).all(), "the frame itself stays"
    assert len(doubles([frame, drawn(OTHER, hero=False)], rng)) == 1, "without the person there is no double"


class Answers(nn.Module):
    """Gives the logits for these labels, whatever the image shows; `sure` is the hero's logit."""

    def __init__(self, labels: np.ndarray, sure: float = 9.0) -> None:
        super().__init__()
        one_hot = torch.nn.functional.one_hot(torch.from_numpy(labels).long(), 3).permute(2, 0, 1).float()
        self.logits = nn.Parameter(one_hot * torch.tensor([9.0, 9.0, sure]).view(3, 1, 1), requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.logits.expand(len(images), -1, -1, -1)


CARD = ModelCard("hero_net", 96, 128)


def test_what_a_network_knows_of_the_person():
    frame = drawn(HERO_PERSON, OTHER)
    others_too = frame.labels.copy()
    others_too[10:40, 70:90] = HERO  # half of the other one
    nobody = np.minimum(frame.labels, OTHER_PEOPLE)
    frames = [frame.labelled()] * 2
    right = knowledge(Answers(frame.labels), CARD, frames)
    assert (right.frames, right.found, right.iou, right.others, right.taken) == (2, 1.0, 1.0, 2, 0.0)
    assert not right.warnings
    greedy = knowledge(Answers(others_too), CARD, frames)
    assert (greedy.found, greedy.taken) == (1.0, 1.0) and greedy.iou == pytest.approx(2 / 3)
    assert "100 % of the others" in greedy.warnings[0]
    blind = knowledge(Answers(nobody), CARD, frames)
    assert (blind.found, blind.iou, blind.taken) == (0.0, 0.0, 0.0) and "found in 0 %" in blind.warnings[0]
    alone = drawn(HERO_PERSON)
    known = knowledge(Answers(alone.labels), CARD, [alone.labelled()])
    assert np.isnan(known.taken) and "nobody else is in the held-back frames" in known.warnings[0]


def test_the_confirming_probability_is_the_highest_that_still_finds_the_person():
    frame = drawn(HERO_PERSON, OTHER)
    network = Answers(frame.labels, sure=2.0)
    p = float(torch.softmax(network.logits, 0)[HERO].max())
    level = confirming_probability(network, CARD, [frame.labelled()] * 3)
    assert 0.95 * p < level <= p
