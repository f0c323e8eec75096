"""The MAVLink connection on loopback, with strangers who send to its port."""

from __future__ import annotations

import os
import socket
import sys
import time
import tty
from types import SimpleNamespace

import pytest
from pymavlink import mavutil
from ros_tools import wait_until

from fcn_follow.autopilots import mavlink_link
from fcn_follow.autopilots.mavlink_link import MavlinkLink
from fcn_follow.autopilots.parameters import MavlinkParameters
from fcn_follow.errors import UserError


@pytest.fixture
def address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
        each.bind(("127.0.0.1", 0))
        return each.getsockname()


@pytest.fixture
def link(address):
    link = MavlinkLink(MavlinkParameters("udpin:{}:{}".format(*address)), time.time_ns, ("HEARTBEAT", "ATTITUDE"))
    yield link
    link.close()


def peer(address, system: int = 1):
    return mavutil.mavlink_connection("udpout:{}:{}".format(*address), source_system=system, source_component=1)


def heartbeat(system: int) -> bytes:
    mavlink = mavutil.mavlink
    return bytes(mavlink.MAVLink_heartbeat_message(2, 3, 0, 0, 4, 3).pack(mavlink.MAVLink(None, system, 1)))


@pytest.mark.parametrize(
    "datagram", [175 * b"\xfe\0\0\0\0\0\0\0", 60 * heartbeat(9)], ids=["broken messages", "another vehicle"]
)
def test_a_flood_delays_and_crowds_out_nothing(link, address, datagram):
    vehicle, begun_s = peer(address), time.monotonic()
    delays_s = []
    for _ in range(60):
        vehicle.mav.attitude_send(int(1000 * (time.monotonic() - begun_s)), *(0.0,) * 6)
        for _ in range(12):
            vehicle.port.sendto(datagram, address)
        time.sleep(1 / 30)
        now_s = time.monotonic() - begun_s
        delays_s += [now_s - message.time_boot_ms * 1e-3 for message, _ in link.take()]
    assert len(delays_s) > 50
    assert max(delays_s[-10:]) < 0.5
    assert set(link.others) <= {"9/1"}


def test_a_port_belongs_to_one_link_until_that_is_closed(link, address):
    """The second one would take the vehicle from the first, and fly it by another drone's camera."""
    parameters = MavlinkParameters("udpin:{}:{}".format(*address))
    with pytest.raises(UserError, match=r"parameter mavlink\.address: .* cannot be opened: .*in use"):
        MavlinkLink(parameters, time.time_ns, ("HEARTBEAT",))
    peer(address).port.sendto(heartbeat(1), address)
    end_s = time.monotonic() + 5.0
    heard = []
    while not heard and time.monotonic() < end_s:
        time.sleep(0.05)
        heard = list(link.take())
    assert heard
    link.close()
    MavlinkLink(parameters, time.time_ns, ("HEARTBEAT",)).close()


class Serial:
    """The part of pyserial's class that pymavlink uses, so that the test needs no pyserial."""

    opened = 0

    def __init__(self, device: str, *_: object, **__: object) -> None:
        Serial.opened += 1
        self.fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def fileno(self) -> int:
        return self.fd

    def read(self, size: int) -> bytes:
        return os.read(self.fd, size)

    def close(self) -> None:
        os.close(self.fd)


def test_a_serial_device_belongs_to_one_link_until_that_is_closed(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", SimpleNamespace(Serial=Serial, SerialException=OSError))
    monkeypatch.setattr(Serial, "opened", 0)
    vehicle, device = os.openpty()
    tty.setraw(device)
    parameters = MavlinkParameters(os.ttyname(device))
    link = MavlinkLink(parameters, time.time_ns, ("HEARTBEAT",))
    with pytest.raises(UserError, match=r"parameter mavlink\.address: '/dev/.*' cannot be opened: in use by another"):
        MavlinkLink(parameters, time.time_ns, ("HEARTBEAT",))
    assert Serial.opened == 1, "pyserial would have changed the baud rate of the first link"
    os.write(vehicle, heartbeat(1))
    assert wait_until(lambda: bool(list(link.take())), lambda: time.sleep(0.05))
    link.close()
    MavlinkLink(parameters, time.time_ns, ("HEARTBEAT",)).close()
    for each in (vehicle, device):
        os.close(each)


def test_a_serial_device_without_pyserial_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(UserError, match=r"'/dev/ttyACM0' cannot be opened: a serial device needs .* pyserial"):
        MavlinkLink(MavlinkParameters("/dev/ttyACM0"), time.time_ns, ("HEARTBEAT",))


def test_a_sender_that_has_ended_gets_no_more_answers(monkeypatch, address):
    monkeypatch.setattr(mavlink_link, "MAX_SENDER_AGE_S", 0.3)
    link = MavlinkLink(MavlinkParameters("udpin:{}:{}".format(*address)), time.time_ns, ("HEARTBEAT",))
    ended, vehicle = peer(address, system=9), peer(address)
    ended.port.sendto(heartbeat(9), address)
    for _ in range(10):
        vehicle.port.sendto(heartbeat(1), address)
        time.sleep(0.1)
    link.send("heartbeat", 18, 8, 0, 0, 3)
    time.sleep(0.2)
    link.close()
    assert vehicle.recv_match(type="HEARTBEAT") is not None
    assert ended.recv_match(type="HEARTBEAT") is None
