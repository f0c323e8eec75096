"""Where the package's launch, config and weights folders are, in each way of installing it, and where its cache is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fcn_follow.errors import UserError
from fcn_follow.files import private_folder


def share_directory() -> Path:
    """The folder that holds config/, launch/ and weights/: the checkout, or share/fcn_follow of an install.

    A checkout comes first, so that its code never reads another version's files; then what the ament index says.

    Raises UserError when none of the known places has them.
    """
    module = Path(__file__).resolve()
    candidates = [module.parents[1], *_of_ament_index(), Path(sys.prefix) / "share" / "fcn_follow"]
    candidates += [parent / "share" / "fcn_follow" for parent in module.parents]
    for candidate in candidates:
        if (candidate / "config" / "follow.yaml").is_file():
            return candidate
    raise UserError(
        "fcn_follow's own config and weights were not found beside the package nor in share/fcn_follow; reinstall it"
    )


def _of_ament_index() -> list[Path]:
    """Where the ament index of a ROS install has the package; empty where there is no index or it does not know it."""
    try:
        from ament_index_python.packages import get_package_share_directory  # here: only with a ROS client library

        return [Path(get_package_share_directory("fcn_follow"))]
    except (ImportError, LookupError, OSError):
        return []


def default_weights() -> Path:
    """The weights that fly where nobody names others."""
    return share_directory() / "weights" / "hero_net.safetensors"


def cache_directory() -> Path:
    """Where what can be made anew is kept, $XDG_CACHE_HOME/fcn_follow or in ~/.cache; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fcn_follow"


def make_cache(name: str) -> Path:
    """A folder of the cache, made where it is not there, that only the user can enter. Raises OSError without one."""
    return private_folder(private_folder(cache_directory()) / name)


def dds_environment(*, network: bool) -> dict[str, str]:
    """What lets a process send large images, and be heard and commanded by this machine alone or by the network too.

    With `network`, a profile of Fast DDS that the user has chosen stays.
    """
    variable = "FASTRTPS_DEFAULT_PROFILES_FILE"
    config = share_directory() / "config"
    if network:
        return {} if variable in os.environ else {variable: str(config / "fastdds_large_images.xml")}
    environment = {
        variable: str(config / "fastdds_this_machine.xml"),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",  # any other adds a transport that listens on every network
    }
    if "ROS_LOCALHOST_ONLY" in os.environ:  # the same in older words
        environment["ROS_LOCALHOST_ONLY"] = "0"
    return environment
