"""One engine for several threads: the answers are those of an engine of one's own, in turns and in batches."""

import gc
import threading
import time

import numpy as np
import pytest
from drawn_frames import write_weights

from fcn_follow.inference import sharing
from fcn_follow.inference.choice import Choice, EngineRequest
from fcn_follow.inference.engine import Answer, EngineSpec, Output, open_engine
from fcn_follow.inference.sharing import EngineShare, SharedEngine
from fcn_follow.inference.verification import drawn_frames
from fcn_follow.networks.weights import load_weights


@pytest.fixture
def weights(tmp_path):
    return load_weights(write_weights(tmp_path / "any.safetensors"))


def in_threads(count, work):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("batch", [1, 4])
def test_every_camera_gets_the_answers_to_its_own_frames(weights, batch):
    frames = drawn_frames(weights.card.input_height_px, weights.card.input_width_px)
    own = open_engine(EngineSpec(), weights)
    expected = [own.run(frame[None]).classes.copy() for frame in frames]
    assert len({codes.tobytes() for codes in expected}) == len(frames), "the frames differ"
    shared = SharedEngine(open_engine(EngineSpec(), weights, batch=batch), batch)
    answers = [[] for _ in frames]

    def look(number):
        for _ in range(10):
            answers[number].append(shared.run(frames[number][None]).classes)

    in_threads(len(frames), look)
    for given, codes in zip(answers, expected, strict=True):
        assert all(np.array_equal(each, codes) for each in given)


class Slow:
    """Notes whose frame it runs; a frame's first pixel is the number of its camera."""

    spec, device_name = EngineSpec(), "test"

    def __init__(self):
        self.served = []

    def run(self, images):
        self.served += images[:, 0, 0, 0].tolist()
        time.sleep(0.01)
        if images[0, 0, 0, 0] == 9:
            raise RuntimeError("out of memory")
        return Answer(images[..., 0])


def test_no_camera_is_served_twice_while_another_waits():
    engine = Slow()
    shared = SharedEngine(engine, 1)
    in_threads(3, lambda number: [shared.run(np.full((1, 2, 2, 3), number, np.uint8)) for _ in range(10)])
    middle = engine.served[3:-6]
    assert all({*middle[i : i + 3]} == {0, 1, 2} for i in range(len(middle) - 2)), engine.served


def test_an_error_comes_to_whom_it_concerns_and_the_engine_goes_on_and_is_freed():
    engine = Slow()
    shared = SharedEngine(engine, 1)
    with pytest.raises(RuntimeError, match="out of memory"):
        shared.run(np.full((1, 2, 2, 3), 9, np.uint8))
    assert shared.run(np.full((1, 2, 2, 3), 7, np.uint8)).classes[0, 0, 0] == 7
    (thread,) = (each for each in threading.enumerate() if each.name == "engine")
    del shared
    gc.collect()
    thread.join(5.0)
    assert not thread.is_alive()


def test_those_with_the_same_wishes_share_and_others_do_not(weights, monkeypatch):
    monkeypatch.setattr(sharing, "choose_for", lambda *_: Choice(Slow(), "measured"))
    share = EngineShare(2)
    choices = [
        share.choose(weights, EngineRequest("torch", "cpu", "fp32", threads), print, Output.CODES)
        for threads in (1, 1, 2)
    ]
    assert choices[0].engine is choices[1].engine is not choices[2].engine
    assert choices[1].reason == "measured; shared by up to 2 segmenters"
