"""The town, its people and a drone for Gazebo: meshes and SDF, made by formulas like the embedded simulator's."""
