"""Velocity commands to a vehicle: one short module for each autopilot, without rclpy."""
