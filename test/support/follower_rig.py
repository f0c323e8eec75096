"""The other end of a follower's topics: a hero, a drone that obeys, and a record of all that is published."""

from __future__ import annotations

import math
import time
from functools import cached_property

import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import KeyValue
from geometry_msgs.msg import PointStamped, Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from ros_tools import wait_until

from fcn_follow.coordinates import rotated

BEST_EFFORT = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class FollowerRig:
    """A hero ahead and to the left, a drone that obeys, and the commands and states that the follower publishes.

    The hero stays at one place of the picture but for the last digits, as if it moved with the drone; with
    hero_odom_m it stands at that x and y of odom, and show_odom shows it there.
    """

    def __init__(self, cmd_vel_type=TwistStamped, namespace=""):
        self.node = rclpy.create_node("rig", namespace=namespace)
        self.hero = self.node.create_publisher(PointStamped, "hero/position", 1)
        self.commands = []
        self.states = []
        self.stamps_sent = []
        self.place, self.yaw, self.moved_s = [0.0, 0.0, 3.0], 0.0, time.monotonic()
        self.node.create_subscription(cmd_vel_type, "cmd_vel", self.commands.append, 50)
        self.node.create_subscription(KeyValue, "follow/state", lambda m: self.states.append((m.key, m.value)), LATCHED)
        self.last_hero = 0.0
        self.hero_odom_m = None

    @cached_property
    def odom(self):
        """There only once it is used: a publisher that publishes nothing is a fault."""
        return self.node.create_publisher(Odometry, "odom", 1)

    def spin(self):
        rclpy.spin_once(self.node, timeout_sec=0.005)

    def spin_for(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.spin()

    def show_hero(self, x=-2.0, y=1.5, z=8.0, age_s=0.0, frame_id="camera_optical_frame", is_unstamped=False):
        """At 20 Hz, however often it is called."""
        if time.monotonic() - self.last_hero >= 0.05:
            self.last_hero = time.monotonic()
            message = PointStamped()
            stamp = self.node.get_clock().now() - rclpy.duration.Duration(seconds=age_s)
            message.header.stamp = Time() if is_unstamped else stamp.to_msg()
            message.header.frame_id = frame_id
            message.point.x, message.point.y, message.point.z = x, y, z + 1e-6 * len(self.stamps_sent)
            self.stamps_sent.append((message.header.stamp.sec, message.header.stamp.nanosec))
            self.hero.publish(message)
        self.spin()

    def move(self):
        """Fly what is commanded; the velocity in the axes of the drone's body."""
        dt_s, self.moved_s = time.monotonic() - self.moved_s, time.monotonic()
        velocity = Twist()
        if self.commands:
            command = twist_of(self.commands[-1])
            in_map = isinstance(self.commands[-1], TwistStamped) and self.commands[-1].header.frame_id == "map"
            forward_left = rotated(command.linear.x, command.linear.y, -self.yaw if in_map else 0.0)
            velocity.linear.x, velocity.linear.y = forward_left
            velocity.linear.z, velocity.angular.z = command.linear.z, command.angular.z
        vx, vy = rotated(velocity.linear.x, velocity.linear.y, self.yaw)
        for axis, speed in enumerate((vx, vy, velocity.linear.z)):
            self.place[axis] += speed * dt_s
        self.yaw += velocity.angular.z * dt_s
        return velocity

    def show_odom(self, frame_id="odom", hero=True, **changes):
        """The drone's odometry, with some fields of pose or twist replaced, and the hero."""
        twist = self.move()
        message = Odometry()
        message.header.stamp = self.node.get_clock().now().to_msg()
        message.header.frame_id = frame_id
        pose = message.pose.pose
        pose.position.x, pose.position.y, pose.position.z = self.place
        pose.orientation.z, pose.orientation.w = math.sin(self.yaw / 2), math.cos(self.yaw / 2)
        message.twist.twist = twist
        for path, value in changes.items():
            *parents, name = path.split("__")
            holder = message
            for parent in parents:
                holder = getattr(holder, parent)
            setattr(holder, name, value)
        self.odom.publish(message)
        if not hero:
            self.spin()
        elif self.hero_odom_m is None:
            self.show_hero()
        else:
            east, north = (hero - drone for hero, drone in zip(self.hero_odom_m, self.place, strict=False))
            forward, left = rotated(east, north, -self.yaw)
            self.show_hero(-left, 1.5, forward)

    def state(self):
        return self.states[-1][0] if self.states else ""

    def call(self, service_type, name, request):
        client = self.node.create_client(service_type, name)
        assert client.wait_for_service(10.0)
        future = client.call_async(request)
        assert wait_until(future.done, self.show_hero, 10.0)
        return future.result()


def twist_of(message):
    return message.twist if isinstance(message, TwistStamped) else message


def moves(message):
    twist = twist_of(message)
    return any((twist.linear.x, twist.linear.y, twist.linear.z, twist.angular.z))


def fly(rig, show=None):
    show = show or rig.show_hero
    follows = wait_until(lambda: rig.state() == "tracking" and rig.commands and moves(rig.commands[-1]), show)
    assert follows, rig.states[-5:]
