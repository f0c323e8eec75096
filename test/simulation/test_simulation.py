"""The simulated town, its people, its drone: what is drawn agrees with what is true, limits hold, seeds repeat."""

import dataclasses
import math
import random

import numpy as np
import pytest
from locating import locating

from fcn_follow.coordinates import hero_in_odom, quaternion_xyzw
from fcn_follow.errors import UserError
from fcn_follow.following.parameters import Limits
from fcn_follow.geometry import VelocityCommand
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.people import find_people, locate_people
from fcn_follow.simulation.camera import DelayLine, Sensor, expose, pinhole
from fcn_follow.simulation.drone import Drone, Odometry, OdometryNoise, Wind, body_velocity_m_s
from fcn_follow.simulation.episode import CameraSetup, Episode
from fcn_follow.simulation.eyes import MIN_AREA_PX, TrueEyes
from fcn_follow.simulation.figures import figures, live_violations
from fcn_follow.simulation.flight import fly
from fcn_follow.simulation.outfits import HERO, dressed, parse_colour, random_outfit
from fcn_follow.simulation.people import ON_FOOT, POSES, SEATED, body_meshes, pose_index
from fcn_follow.simulation.renderer import Light, PersonView, Renderer, look
from fcn_follow.simulation.scenarios import SCENARIOS, find_scenario
from fcn_follow.simulation.town import GroundHeight, town_of
from fcn_follow.simulation.walking import Crowd, Leg, Route
from fcn_follow.simulation.world import make_world

SMALL = CameraSetup(width_px=120, height_px=90)
DT_S = 0.01


@pytest.fixture(scope="module")
def world():
    return make_world(3)


def straight_ahead(world, width_px, height_px, people, depth=False):
    with Renderer(world, width_px, height_px) as renderer:
        camera = look((-10.0, -5.0, 2.0), 0.0, 0.2)
        intrinsics = pinhole(width_px, height_px, math.radians(70))
        return intrinsics, camera, renderer.render(intrinsics, camera, people, Light(), labels=True, depth=depth)


def test_labels_depth_and_projection_agree(world):
    hero = PersonView((-4.0, -4.4, 0.1), 1.0, 0, HERO, 2)
    other = PersonView((-5.0, -6.5, 0.1), 2.0, 3, random_outfit(np.random.default_rng(0)), 1)
    intrinsics, camera, picture = straight_ahead(world, 200, 150, [hero, other], depth=True)
    assert set(np.unique(picture.labels)) == {0, 1, 2}
    for person, label in ((hero, 2), (other, 1)):
        middle = np.array(person.position_m) + np.array([0, 0, 0.5 * person.outfit.height_m])
        x, y, z = camera.rotation.T @ (middle - camera.position_m)
        rows, columns = np.nonzero(picture.labels == label)
        assert abs(columns.mean() - (intrinsics.fx_px * x / z + intrinsics.cx_px)) < 2.5
        assert abs((rows.min() + rows.max()) / 2 - (intrinsics.fy_px * y / z + intrinsics.cy_px)) < 2.5
        assert abs(np.median(picture.depth_m[picture.labels == label]) - z) < 0.25
    hero_colour = picture.rgb[picture.labels == 2].mean(0)
    assert hero_colour[0] > 2 * hero_colour[1] and hero_colour[0] > 2 * hero_colour[2]
    assert (picture.depth_m[:10] == 0).any()  # sky


def test_other_people_are_located_where_they_are(world):
    hero = PersonView((-4.0, -4.4, 0.1), 1.0, 0, HERO, 2)
    clothes = random_outfit(np.random.default_rng(0))
    others = [PersonView((x, y, 0.1), 2.0, 3, clothes, 1) for x, y in ((-5.0, -6.5), (-1.0, -8.5))]
    intrinsics, camera, picture = straight_ahead(world, 320, 240, [hero, *others])
    ranging = locating(hero_height_m=clothes.height_m, pitch_down_rad=0.2)
    found = locate_people(picture.labels, find_hero(picture.labels), intrinsics, ranging)
    assert len(found) == 2
    for person, place in zip(others, found, strict=True):  # the nearest first
        middle = np.array(person.position_m) + np.array([0, 0, 0.5 * person.outfit.height_m])
        truth = camera.rotation.T @ (middle - camera.position_m)
        assert math.dist(place, truth) < 0.05 * np.linalg.norm(truth)


def test_true_eyes_see_the_crowd_and_the_hero_apart():
    with Episode(find_scenario("crowd"), 1, SMALL) as episode:
        frames = episode.advance(2.0)
    sights = [TrueEyes(SMALL).look(frame) for frame in frames]
    assert all(sight.hero and sight.position for sight in sights)
    blobs = [find_people(frame.labels, sight.hero, MIN_AREA_PX) for frame, sight in zip(frames, sights, strict=True)]
    assert [len(sight.people) for sight in sights] == [len(people) for people in blobs]
    assert max(len(sight.people) for sight in sights) > 2


def test_a_hidden_person_has_no_pixels(world):
    behind_a_building = PersonView((27.5, 40.0, 0.0), 0.0, 0, HERO, 2)
    with Renderer(world, 160, 120) as renderer:
        camera = look((27.5, 15.0, 2.0), math.pi / 2, 0.0)
        picture = renderer.render(pinhole(160, 120, 1.2), camera, [behind_a_building], Light(), labels=True)
    assert not (picture.labels == 2).any()


def test_drawing_is_the_same_every_time(world):
    people = [PersonView((-5.0, -5.0, 0.1), 0.0, 5, HERO, 2)]
    first = straight_ahead(world, 96, 64, people)[2]
    again = straight_ahead(make_world(3), 96, 64, people)[2]
    assert (first.rgb == again.rgb).all() and (first.labels == again.labels).all()


def test_bodies_stand_on_the_ground_and_have_their_height():
    for index, pose in enumerate(POSES):
        meshes = body_meshes(pose)
        lowest = min(mesh.vertices_m[:, 2].min() for mesh in meshes.values())
        top = meshes["skin"].vertices_m[:, 2].max()
        assert -0.01 < lowest < 0.16, index
        assert 1.45 < top < 1.95 or index >= len(ON_FOOT), index
    assert 1.0 < body_meshes(SEATED)["skin"].vertices_m[:, 2].max() < 1.2
    assert POSES[pose_index(0.0, 0.0, 1.0)] == SEATED
    assert pose_index(0.0, 0.0, 0.0) == 0
    assert POSES[pose_index(0.0, 0.0)] == POSES[0]
    assert len({pose_index(phase, speed) for phase in np.linspace(0, 6.2, 40) for speed in (1.4, 3.5)}) == 32


def test_colours_by_name_and_number():
    assert parse_colour("#ff8000") == (1.0, 128 / 255, 0.0)
    blue = dressed(HERO, {"top": "#0000ff", "bottom": "black"})
    assert blue.top == (0.0, 0.0, 1.0) and blue.calves == blue.bottom == parse_colour("black")
    assert blue.hair == HERO.hair
    with pytest.raises(UserError, match="'#12' is not a colour"):
        parse_colour("#12")


def fly_command(drone, command, seconds, again=True):
    states = []
    drone.command(command, 0.0)
    for tick in range(round(seconds / DT_S)):
        if again:
            drone.command(command, tick * DT_S)
        drone.step(tick * DT_S, DT_S)
        states.append((drone.velocity_m_s.copy(), drone.acceleration_m_s2.copy(), drone.roll_pitch_rad))
    return states


def test_the_drone_takes_up_a_velocity_within_its_limits():
    drone = Drone((0.0, 0.0, 5.0), math.radians(90))
    states = fly_command(drone, VelocityCommand(forward_m_s=4.0, yaw_rate_rad_s=0.0), 6.0)
    speeds = np.array([s[0] for s in states])
    accelerations = np.array([s[1] for s in states])
    jerks = np.diff(accelerations, axis=0) / DT_S
    assert abs(speeds[-1] - [0.0, 4.0, 0.0]).max() < 0.15  # forward is north at a yaw of 90 degrees
    assert speeds[:, 1].max() < 5.0
    limits = drone.parameters
    assert np.linalg.norm(accelerations, axis=1).max() <= limits.acceleration_m_s2 + 0.5
    assert np.linalg.norm(jerks, axis=1).max() <= limits.jerk_m_s3 * 1.2
    assert max(abs(angle) for s in states for angle in s[2]) <= limits.tilt_rad
    assert max(s[2][1] for s in states) > 0.1  # nose down to speed up


def test_the_drone_stops_by_itself_when_commands_end():
    drone = Drone((0.0, 0.0, 5.0), 0.0)
    fly_command(drone, VelocityCommand(forward_m_s=3.0, yaw_rate_rad_s=1.0), 0.4)
    assert drone.velocity_m_s[0] > 0.2
    for tick in range(40, 800):
        drone.step(tick * DT_S, DT_S)
    assert np.linalg.norm(drone.velocity_m_s) < 0.05 and abs(drone.yaw_rate_rad_s) < 0.01


def test_a_command_that_is_no_number_is_a_stop():
    drone = Drone((0.0, 0.0, 5.0), 0.0)
    fly_command(drone, VelocityCommand(forward_m_s=math.nan), 1.0)
    assert (drone.position_m == [0.0, 0.0, 5.0]).all()


def test_the_drone_holds_its_place_in_wind():
    drone = Drone((0.0, 0.0, 5.0), 0.0, wind=Wind((3.0, 0.0, 0.0), gust_m_s=0.5), rng=np.random.default_rng(1))
    states = fly_command(drone, VelocityCommand(), 15.0)
    assert np.abs([s[0] for s in states[-300:]]).max() < 0.5
    assert states[-1][2][1] < -0.02  # it leans back into the wind that pushes it


def test_odometry_has_the_velocity_in_the_axes_of_the_body():
    drone = Drone((0.0, 0.0, 5.0), 1.0)
    fly_command(drone, VelocityCommand(forward_m_s=2.0, left_m_s=-1.0), 6.0)
    exact = OdometryNoise(0.0, 0.0, 0.0, 0.0)
    state = Odometry(exact, np.random.default_rng(0)).measure(drone, 6.0)
    forward, left, _ = body_velocity_m_s(state)
    assert abs(forward - 2.0) < 0.2 and abs(left + 1.0) < 0.2
    assert math.isclose(sum(q * q for q in quaternion_xyzw(0.3, -0.2, 2.0)), 1.0)


def test_late_frames_come_late_and_in_order():
    line = DelayLine(0.2)
    line.put(0.0, "a")
    line.put(0.1, "b")
    assert line.arrived(0.19) == [] and line.arrived(0.2) == ["a"] and line.arrived(1.0) == ["b"]


def test_the_sensor_blurs_and_adds_noise():
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, 20:] = 200
    noisy = expose(image, Sensor(noise_levels=4.0), np.random.default_rng(0))
    assert 2 < noisy[:, 25:].std() < 6
    soft = expose(image, Sensor(blur_px=1.0, motion_px=4.0), np.random.default_rng(0))
    assert 20 < soft[20, 20, 0] < 180


def test_the_hero_walks_its_legs_and_stands():
    route = Route((0.0, 0.0), [Leg((3.0, 0.0), 1.5, 1.0), Leg((3.0, 2.0), 1.5)])
    places, speeds = [], []
    for _ in range(900):
        route.step(DT_S)
        places.append((route.walker.x_m, route.walker.y_m))
        speeds.append(route.walker.speed_m_s)
    places = np.array(places)
    assert np.linalg.norm(places - [3.0, 0.0], axis=1).min() < 0.4
    assert np.linalg.norm(places[-1] - [3.0, 2.0]) < 0.5
    assert max(speeds) <= 1.51 and min(speeds[150:400]) < 0.05 and speeds[-1] < 0.05


def test_the_crowd_keeps_off_buildings_drone_and_hero():
    town = town_of(0)
    crowd = Crowd(np.random.default_rng(2), town, 12, (-18.0, -18.0, 18.0, 18.0), ((0.0, -8.0),))
    drone_m, still = np.array([5.0, -8.0]), np.zeros(2)
    nearest_drone, moved = [], np.zeros(12)
    for _ in range(1500):
        before = np.array([(w.x_m, w.y_m) for w in crowd.walkers])
        crowd.step(DT_S, (0.0, -8.0), drone_m, still)
        places = np.array([(w.x_m, w.y_m) for w in crowd.walkers])
        moved += np.linalg.norm(places - before, axis=1)
        nearest_drone.append(np.linalg.norm(places - drone_m, axis=1).min())
    assert not any(town.blocked(x, y, 0.0) for x, y in places)
    assert min(nearest_drone[500:]) > 1.5
    assert (moved > 3.0).sum() > 6


def test_places_of_the_scenarios_are_free():
    for scenario in SCENARIOS:
        town = scenario.town(0)
        x, y = scenario.start_m
        for leg in scenario.legs:
            for share in np.linspace(0, 1, 60):
                place = (x + share * (leg.to_m[0] - x), y + share * (leg.to_m[1] - y))
                assert not town.blocked(*place, 0.3), (scenario.name, place)
            x, y = leg.to_m


def test_the_hero_sits_down_and_walks_on():
    scenario = find_scenario("sits")
    route = Route(scenario.start_m, scenario.legs)
    heights, moved = [], []
    for _ in range(2600):
        before = route.walker.x_m
        route.step(0.01)
        heights.append(route.walker.seated)
        moved.append(route.walker.x_m > before + 1e-6)
    seated = [seated == 1.0 for seated in heights]
    assert 14.0 < 0.01 * sum(seated) < 16.0
    assert not any(walks for walks, height in zip(moved, heights, strict=True) if height > 0)
    assert heights[-1] == 0.0 and moved[-1]


def test_an_unknown_scenario_names_the_nearest():
    with pytest.raises(UserError, match="'stright'; did you mean straight"):
        find_scenario("stright")


def test_the_drone_can_hit_things():
    with Episode(find_scenario("straight"), 0, SMALL) as episode:
        assert episode.contact() == ""
        x, y = episode.hero_place_m
        episode.drone.position_m[:] = (x, y, 1.8)
        assert episode.contact() == "a person"
        episode.drone.position_m[:] = (-27.0, -27.0, 4.0)
        assert episode.contact() == "the ground or a building"
        episode.drone.position_m[:] = (-5.0, -14.0, 0.2)
        assert episode.contact() == "the ground or a building"


@pytest.mark.parametrize("stabilised", [True, False])
def test_the_follower_finds_the_hero_where_it_is_from_a_tilted_drone(stabilised):
    camera = dataclasses.replace(SMALL, stabilised=stabilised)
    with Episode(find_scenario("straight"), 0, camera) as episode:
        episode.command(VelocityCommand(forward_m_s=4.0, left_m_s=-3.0, yaw_rate_rad_s=0.3))
        frame = episode.advance(0.46)[-1]
    with Episode(find_scenario("straight"), 0, camera) as again:
        again.command(VelocityCommand(forward_m_s=4.0, left_m_s=-3.0, yaw_rate_rad_s=0.3))
        again.advance(frame.stamp_s)
        roll, pitch = again.drone.roll_pitch_rad
        assert abs(roll) > 0.02 and abs(pitch) > 0.02
        found, _ = hero_in_odom(
            frame.hero.position_camera_m,
            camera.mount,
            stabilised,
            tuple(again.drone.position_m),
            (roll, pitch, again.drone.yaw_rad),
        )
        assert math.dist(found, again.hero_middle_m) < 0.02


def test_the_ground_has_steps():
    height = GroundHeight(town_of(0))
    assert math.isclose(height(5.0, 5.0), 0.1, abs_tol=1e-6)  # the square
    assert height(60.0, 60.0) == 0.0  # grass


def test_a_flight_by_true_positions_follows_and_repeats():
    first = fly(find_scenario("straight"), 1, TrueEyes(SMALL), SMALL, duration_s=6.0)
    result = figures(first)
    assert first.contact == "" and result.limit_violations == 0
    assert result.hero_in_frame > 0.95 and result.right_person == 1.0
    assert first.moments[-1].state == "tracking"
    assert abs(math.dist(first.moments[-1].drone_m[:2], first.moments[-1].hero_m[:2]) - 5.0) < 1.5
    assert math.dist(first.moments[-1].drone_m, first.moments[0].drone_m) > 2.0
    again = fly(find_scenario("straight"), 1, TrueEyes(SMALL), SMALL, duration_s=6.0)
    assert again.moments == first.moments and repr(again.looks) == repr(first.looks)


def test_commands_over_topics_are_judged_by_their_own_stamps():
    """Commands come when they come; what counts is how much they grow in the time between their stamps."""
    limits, rng = Limits(), random.Random(1)
    now_s, commands = 0.0, []
    while now_s < 3.0:
        speed = (
            min(5.9, 0.975 * limits.acceleration_m_s2 * now_s) if now_s < 2.0 else 0.5
        )  # full acceleration, then a cut by the guard
        commands.append((now_s, VelocityCommand(speed, 0.0, 0.0, 0.0)))
        now_s += rng.choice([0.001, 0.02, 0.02])
    assert live_violations(commands, limits) == 0
    leap = [(stamp_s, command if stamp_s < 1.0 else VelocityCommand(5.9)) for stamp_s, command in commands]
    assert live_violations(leap, limits) > 0
    assert live_violations([(0.0, VelocityCommand(7.0))], limits) == 1


def test_a_wrong_pitch_is_reported_and_a_right_one_is_not():
    wrong = fly(find_scenario("wrong_pitch"), 0, TrueEyes(SMALL), SMALL, duration_s=4.0)
    assert figures(wrong).reported_s < 3.0
    right = fly(find_scenario("straight"), 0, TrueEyes(SMALL), SMALL, duration_s=4.0)
    assert math.isnan(figures(right).reported_s)
    assert not any("pitch" in moment.reason for moment in right.moments)


def test_stairs_and_slopes_are_climbed_by_people_and_hit_by_the_drone():
    with Episode(find_scenario("stairs"), 0, SMALL) as episode:
        low_m = episode.hero_middle_m[2]
        episode.route.walker.x_m = 10.0
        assert episode.hero_middle_m[2] - low_m == pytest.approx(12 * 0.17 - 0.1, abs=0.01)
        episode.drone.position_m[:] = (10.0, -8.5, 2.2)
        assert episode.contact() == "the ground or a building"
        episode.drone.position_m[:] = (4.0, -8.0, 4.5)
        assert episode.contact() == ""


def test_a_twin_wears_the_hero_s_clothes_and_is_another_person_drawn_by_the_seed():
    scenario = find_scenario("twins")
    places = []
    for seed in (0, 1):
        with Episode(scenario, seed, SMALL) as episode:
            twin = episode.other_walkers[-1]
            places.append((twin.x_m, twin.y_m))
            episode.drone.position_m[:2] = (twin.x_m - 3.0, twin.y_m)
            episode.drone.yaw_rad = 0.0
            frame = episode.advance(0.1)[0]
        assert (frame.labels == 1).sum() > 20
        red = frame.rgb[frame.labels == 1].astype(int)
        assert ((red[:, 0] > 1.8 * red[:, 1]) & (red[:, 0] > 1.8 * red[:, 2])).mean() > 0.3
    assert places[0] != places[1]
    assert math.dist(places[0], scenario.others[0].start_m) < 1.0


def test_a_gimbal_that_lags_leaves_some_of_the_tilt():
    def pitch_left_rad(lag_s):
        with Episode(dataclasses.replace(find_scenario("straight"), gimbal_lag_s=lag_s), 0, SMALL) as episode:
            episode.command(VelocityCommand(forward_m_s=4.0))
            episode.advance(0.4)
            forward = episode._camera_pose().rotation[:, 2]
        return math.asin(-forward[2]) - SMALL.mount.pitch_down_rad

    assert pitch_left_rad(0.0) == pytest.approx(0.0, abs=1e-9)
    assert 0.05 < pitch_left_rad(0.4) < 0.4
