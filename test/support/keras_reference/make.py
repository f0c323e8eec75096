"""Made the files beside this one with real Keras: a network with every layer of the course's family, its answer.

    pip install tensorflow-cpu==2.15.1 && python make.py

Not run by the tests, which need no TensorFlow; they compare the imported network to answer.npz.
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

FOLDER = Path(__file__).parent
SIDE_PX = 32
layers = tf.keras.layers


class SeparableConv2DKeras(layers.SeparableConv2D):
    """Keras' separable convolution under the course's name."""


class BilinearUpSampling2D(layers.Layer):
    """The course's upsampling: TensorFlow 1's resize_bilinear."""

    def __init__(self, size, **others):
        super().__init__(**others)
        self.size = size

    def call(self, x):
        height, width = x.shape[1] * self.size[0], x.shape[2] * self.size[1]
        return tf.compat.v1.image.resize_bilinear(x, (height, width))

    def get_config(self):
        return {**super().get_config(), "size": self.size, "data_format": "channels_last"}


def separable(x, filters, stride=1, kernel=3):
    options = {"strides": stride, "padding": "same", "activation": "relu"}
    return layers.BatchNormalization()(SeparableConv2DKeras(filters, kernel, **options)(x))


def convolution(x, filters, kernel, **options):
    x = layers.Conv2D(filters, kernel, padding="same", activation="relu", **options)(x)
    return layers.BatchNormalization()(x)


def network():
    image = layers.Input((SIDE_PX, SIDE_PX, 3))
    half = separable(image, 6, stride=2)
    eighth = layers.MaxPooling2D(2)(separable(half, 8, stride=2, kernel=5))
    wide = convolution(eighth, 8, (1, 3))
    middle = layers.Dropout(0.3)(layers.Add()([wide, convolution(wide, 8, 3, dilation_rate=2)]))
    x = layers.Concatenate()([BilinearUpSampling2D((4, 4))(middle), half])
    x = layers.MaxPooling2D(3, strides=1, padding="same")(separable(separable(x, 7), 7))
    x = layers.Concatenate()([BilinearUpSampling2D((2, 2))(x), image])
    x = layers.Conv2D(5, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(scale=False, epsilon=2e-3)(x)
    return tf.keras.Model(image, layers.Conv2D(3, 1, activation="softmax", padding="same")(x))


def main():
    random = np.random.default_rng(7)
    tf.keras.utils.set_random_seed(7)
    model = network()
    model.compile("adam", "categorical_crossentropy")
    images = random.uniform(-1, 1, (8, SIDE_PX, SIDE_PX, 3)).astype(np.float32)
    truth = np.eye(3, dtype=np.float32)[random.integers(0, 3, images.shape[:3])]
    model.fit(images, truth, epochs=20, batch_size=4, verbose=0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):  # no vector of it stays at what it starts with
            layer.set_weights([np.abs(values) + random.uniform(0.1, 1, values.shape) for values in layer.get_weights()])
    (FOLDER / "config_model_weights").write_text(json.dumps(model.to_json()))  # twice, as the course's tool did
    model.save_weights(FOLDER / "model_weights.h5")
    (FOLDER / "model_weights.h5").rename(FOLDER / "model_weights")  # as the course called it
    np.savez(FOLDER / "answer.npz", images=images[:1], probabilities=model(images[:1], training=False).numpy())


if __name__ == "__main__":
    main()
