"""Made keras3.h5 and keras3_answer.npz beside this file with real Keras 3: average pooling, and its JSON.

    pip install tensorflow-cpu==2.21.0 && python make_keras3.py

Not run by the tests, which need no TensorFlow. Other backends of Keras 3 pad an average in another way.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

FOLDER = Path(__file__).parent
SIDE_PX = 32


class BilinearUpSampling2D(layers.Layer):
    """The course's upsampling: TensorFlow 1's resize_bilinear."""

    def __init__(self, size=(2, 2), **others):
        super().__init__(**others)
        self.size = tuple(size)

    def call(self, x):
        height, width = x.shape[1] * self.size[0], x.shape[2] * self.size[1]
        return tf.compat.v1.image.resize_bilinear(x, (height, width))

    def compute_output_shape(self, shape):
        return (shape[0], 2 * shape[1], 2 * shape[2], shape[3])

    def get_config(self):
        return {**super().get_config(), "size": self.size}


def network():
    image = layers.Input((SIDE_PX, SIDE_PX, 3))
    half = layers.SeparableConv2D(6, 3, strides=2, padding="same", activation="relu")(image)
    half = layers.BatchNormalization()(half)
    plain = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.AveragePooling2D(2)(half))
    padded = layers.Conv2D(8, 1, padding="same")(layers.AveragePooling2D(3, strides=2, padding="same")(half))
    x = BilinearUpSampling2D()(layers.Add()([plain, padded]))
    x = BilinearUpSampling2D()(layers.Concatenate()([x, half]))
    return keras.Model(image, layers.Conv2D(3, 1, activation="softmax", padding="same")(x))


def main():
    keras.utils.set_random_seed(3)
    random = np.random.default_rng(3)
    model = network()
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):  # no vector of it stays at what it starts with
            layer.set_weights([np.abs(values) + random.uniform(0.1, 1, values.shape) for values in layer.get_weights()])
    model.save(FOLDER / "keras3.h5")
    images = random.uniform(-1, 1, (1, SIDE_PX, SIDE_PX, 3)).astype(np.float32)
    probabilities = keras.ops.convert_to_numpy(model(images, training=False))
    np.savez(FOLDER / "keras3_answer.npz", images=images, probabilities=probabilities)


if __name__ == "__main__":
    main()
