"""Pictures as arrays: files and ROS messages, decoded only once their size is known."""
