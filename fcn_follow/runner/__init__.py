"""`fcn-follow run`: the nodes as processes, a live status, a recording."""
