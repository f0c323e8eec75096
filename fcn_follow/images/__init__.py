"""Pictures as arrays, from files and ROS messages; their size is checked before they are decoded."""
