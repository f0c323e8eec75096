"""Where the package's launch, config and weights folders are, however it is installed, and where its cache is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fcn_follow.errors import UserError
from fcn_follow.files import private_folder


def share_directory() -> Path:
    """The folder that holds config/, launch/ and weights/: the checkout, or share/fcn_follow of an install.

    A checkout comes first, so that its code never reads the files of another version; the ament index comes second.

    Raises UserError when none of the known places has them.
    """
    module = Path(__file__).resolve()
    candidates = [module.parents[1], ament_share("fcn_follow")]
    candidates += [parent / "share" / "fcn_follow" for parent in module.parents]
    for candidate in candidates:
        if (candidate / "config" / "follow.yaml").is_file():
            return candidate
    raise UserError(
        "fcn_follow's own config and weights were not found beside the package nor in share/fcn_follow; reinstall it"
    )


def ament_share(package: str) -> Path:
    """The share folder of a package by the ament index of a ROS install, or else of this environment."""
    try:
        from ament_index_python.packages import get_package_share_directory  # here: only with a ROS client library

        return Path(get_package_share_directory(package))
    except (ImportError, LookupError, OSError):
        return Path(sys.prefix) / "share" / package


def default_weights(*, pointed: bool = False) -> Path:
    """The weights that are used where the user names none: those that know a hero, or those that find real people."""
    return share_directory() / "weights" / ("people_net.safetensors" if pointed else "hero_net.safetensors")


def cache_directory() -> Path:
    """The cache, $XDG_CACHE_HOME/fcn_follow or ~/.cache/fcn_follow; it may be missing."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fcn_follow"


def make_cache(name: str) -> Path:
    """A private folder of the cache, made where it is missing. Raises OSError if it cannot be made."""
    return private_folder(private_folder(cache_directory()) / name)


def dds_environment(*, network: bool) -> dict[str, str]:
    """Environment variables with which Fast DDS sends large images, on this machine alone or on the network too.

    With `network`, a profile that the user has chosen stays.
    """
    variable = "FASTRTPS_DEFAULT_PROFILES_FILE"
    config = share_directory() / "config"
    if network:
        return {} if variable in os.environ else {variable: str(config / "fastdds_large_images.xml")}
    environment = {
        variable: str(config / "fastdds_this_machine.xml"),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",  # others listen on every network
    }
    if "ROS_LOCALHOST_ONLY" in os.environ:  # the older name of the same setting
        environment["ROS_LOCALHOST_ONLY"] = "0"
    return environment
