# The nodes on ROS 2 Jazzy:
#   docker build -t fcn_follow .
#   docker run --rm -it --network host --ipc host fcn_follow image:=/my_drone/camera/image_raw
# The words after the image's name are arguments of follow.launch.py.
FROM ros:jazzy-ros-base

ENV PIP_BREAK_SYSTEM_PACKAGES=1 \
    PIP_NO_CACHE_DIR=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /ws

# Install the dependencies from package.xml alone, so that a change of the code builds quickly.
COPY package.xml src/fcn_follow/
# hadolint ignore=DL3008,DL3013
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-pip libosmesa6 \
    && rosdep update --rosdistro jazzy \
    && rosdep install --from-paths src --ignore-src -y --dependency-types exec \
    && pip install "numpy<2" safetensors onnx openvino pymavlink pyserial \
    && rm -rf /var/lib/apt/lists/*

COPY . src/fcn_follow
RUN source /opt/ros/jazzy/setup.bash && colcon build --packages-select fcn_follow

ENTRYPOINT ["/bin/bash", "-c", "source install/setup.bash && exec ros2 launch fcn_follow follow.launch.py \"$@\"", "follow"]
