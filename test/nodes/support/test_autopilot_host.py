"""The follower's node as the host of an autopilot's output, over real DDS."""

from __future__ import annotations

import pytest
import rclpy
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from ros_tools import wait_until

from fcn_follow.nodes.support.autopilot_host import NodeHost
from fcn_follow.nodes.support.spinning import make_executor


@pytest.mark.parametrize("executor_type", [SingleThreadedExecutor, make_executor], ids=["waits", "events"])
def test_of_questions_that_nobody_answers_the_last_one_is_kept_and_answered(ros, executor_type, cleanup):
    executor, asker, hung = executor_type(), rclpy.create_node("asker"), rclpy.create_node("hung")
    cleanup.callback(executor.shutdown)
    executor.add_node(asker)
    words, asked = [], []

    def answer(request, response):
        asked.append(request.names)
        response.values = [ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="BODY_NED")]
        return response

    hung.create_service(GetParameters, "plugin/get_parameters", answer)
    ask = NodeHost(asker).question("plugin", "mav_frame", words.append)
    (client,) = asker.clients
    assert client.wait_for_service(10.0)
    for _ in range(9):
        ask()
        executor.spin_once(timeout_sec=0.0)
    assert len(client._pending_requests) == 1
    assert wait_until(lambda: len(asked) == 9, lambda: rclpy.spin_once(hung, timeout_sec=0.1))
    assert asked[-1] == ["mav_frame"]
    assert wait_until(lambda: bool(words), lambda: executor.spin_once(timeout_sec=0.1))
    for _ in range(20):
        executor.spin_once(timeout_sec=0.01)
    assert words == ["BODY_NED"] and not client._pending_requests
