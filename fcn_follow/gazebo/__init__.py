"""The town, its people and a drone for Gazebo: meshes and SDF from the formulas of the embedded simulator."""
