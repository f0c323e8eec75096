"""rosbag2 recordings and their messages without a ROS install: read, write, describe."""
