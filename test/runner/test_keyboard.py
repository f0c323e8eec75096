"""Keys in the runner's terminal: read one by one, and the terminal is left as it was."""

import os
import subprocess
import sys
import termios
import time

from ros_tools import ROOT, wait_until

from fcn_follow.runner.keyboard import Keyboard

PROGRAM = """
import sys, time
from fcn_follow.runner.keyboard import Keyboard
with Keyboard() as keyboard:
    print("ready", flush=True)
    pressed = ""
    while not pressed.endswith("q"):
        pressed += keyboard.pressed()
        time.sleep(0.01)
print(f"pressed {pressed}", flush=True)
"""


def test_keys_come_without_a_line_end_and_without_an_echo():
    """In a terminal of its own, of which the program is the foreground."""
    controller, terminal = os.openpty()
    before = termios.tcgetattr(terminal)

    def own_the_terminal():
        os.setsid()
        os.close(os.open(os.ttyname(terminal), os.O_RDWR))  # the first one opened is the controlling terminal

    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=terminal,
        stdout=subprocess.PIPE,
        preexec_fn=own_the_terminal,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    os.write(controller, b"+u\xffq")
    assert process.stdout.readline() == "pressed +uq\n"
    assert process.wait() == 0
    assert termios.tcgetattr(terminal) == before
    os.set_blocking(controller, False)
    time.sleep(0.1)
    try:
        echoed = os.read(controller, 100)
    except BlockingIOError:
        echoed = b""
    assert echoed == b""
    os.close(controller)
    os.close(terminal)


def test_without_a_terminal_no_key_is_pressed(tmp_path):
    (tmp_path / "file").write_text("q")
    with (tmp_path / "file").open() as file, Keyboard(file.fileno()) as keyboard:
        assert keyboard.pressed() == ""


def test_a_terminal_of_others_is_left_alone():
    """As in the background, where changing it would stop the program."""
    controller, terminal = os.openpty()
    with Keyboard(terminal) as keyboard:
        os.write(controller, b"q")
        assert keyboard.pressed() == ""
    os.close(controller)
    os.close(terminal)


def test_the_follower_does_what_the_keys_say(domain_id, ros, follower):
    from rclpy import create_node
    from rclpy.executors import SingleThreadedExecutor

    from fcn_follow.nodes.pilot import Pilot

    node, executor = create_node("runner"), SingleThreadedExecutor()
    executor.add_node(node)
    pilot = Pilot(node)

    def answers(text):
        return wait_until(lambda: text in pilot.words, lambda: executor.spin_once(timeout_sec=0.05))

    pilot.press("+")
    assert pilot.words == "the follower does not answer"
    process = follower()

    def pressed():
        pilot.press("x")  # means nothing
        pilot.press("+")
        executor.spin_once(timeout_sec=0.2)
        return "away" in pilot.words

    assert wait_until(pressed, lambda: None)
    executor.spin_once(timeout_sec=0.5)
    pilot.press("-")
    assert wait_until(lambda: "m away, 1.5 m above, keep" in pilot.words, lambda: executor.spin_once(timeout_sec=0.05))
    for key in "uuo":
        pilot.press(key)
    assert answers("2 m above, keep, orbit 0.1 rad/s")
    pilot.press("b")
    pilot.press("0")
    assert wait_until(lambda: pilot.words.endswith("behind"), lambda: executor.spin_once(timeout_sec=0.05))

    def nearer():
        pilot.press("-")
        executor.spin_once(timeout_sec=0.05)

    assert wait_until(lambda: "refused: parameter " in pilot.words, nearer)
    pilot.press("u")
    assert answers("2.25 m above"), "after a refusal it goes on from the follower's own values"
    pilot.press(" ")
    assert answers("disabled: zero")
    pilot.press("g")
    assert answers("enabled")
    assert process.poll() is None
    node.destroy_node()


def test_a_follower_that_hangs_is_named_and_not_what_it_said_before(ros):
    from rcl_interfaces.srv import GetParameters
    from rclpy import create_node, spin_once
    from std_srvs.srv import SetBool

    from fcn_follow.nodes.pilot import NO_ANSWER, Pilot

    def answer(request, response):
        response.success, response.message = True, "enabled" if request.data else "disabled: zero"
        return response

    node, hangs = create_node("runner"), create_node("hangs")
    hangs.create_service(SetBool, "follower/enable", answer)
    hangs.create_service(GetParameters, "follower/get_parameters", lambda _request, response: response)
    pilot = Pilot(node)
    assert wait_until(
        lambda: pilot._get._client.service_is_ready() and pilot._enable._client.service_is_ready(), lambda: None
    )

    def both_live():
        spin_once(hangs, timeout_sec=0.02)
        spin_once(node, timeout_sec=0.02)

    def shows(words, step):
        return wait_until(lambda: pilot.words == words, step)

    pilot.press("g")
    assert pilot.words == "asked to go" and shows("enabled", both_live)
    pilot.press(" ")
    assert pilot.words == "asked to hold"
    assert shows(NO_ANSWER, lambda: spin_once(node, timeout_sec=0.1))
    for _ in range(9):
        pilot.press(" ")
        assert pilot.words == NO_ANSWER, "pressing again changes nothing"
    assert len(pilot._enable._client._pending_requests) == 1
    assert shows("disabled: zero", both_live)
    pilot.press("+")
    assert shows(NO_ANSWER, lambda: spin_once(node, timeout_sec=0.1))
    pilot.press("g")
    assert shows("enabled", both_live)
