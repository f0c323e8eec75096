"""Read, write and describe rosbag2 recordings without a ROS install."""
