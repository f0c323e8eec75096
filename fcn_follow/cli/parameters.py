"""fcn-follow parameters."""

from __future__ import annotations

import sys


def parameters() -> None:
    """Print the parameter file of the nodes with all defaults: config/follow.yaml."""
    from fcn_follow.nodes.support.parameter_file import follow_yaml

    sys.stdout.write(follow_yaml())
