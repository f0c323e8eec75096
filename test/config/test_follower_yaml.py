"""config/follow.yaml and the follower's dataclasses say the same."""

import yaml
from ros_tools import ROOT

from fcn_follow.nodes.support.follower_parameters import START_ONLY, FollowerNodeParameters
from fcn_follow.parameters import walk_parameters


def flattened(tree, prefix=""):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def test_every_parameter_stands_in_the_yaml_with_its_default():
    section = yaml.safe_load((ROOT / "config" / "follow.yaml").read_text())["/**/follower"]["ros__parameters"]
    assert dict(flattened(section)) == {name: value for name, _, value in walk_parameters(FollowerNodeParameters())}


def test_what_is_fixed_at_start_exists():
    assert set(START_ONLY) <= {name for name, _, _ in walk_parameters(FollowerNodeParameters())}
