# What the user guide takes for granted: trained models of Keras, TensorFlow and, where it is installed, PyTorch.
import importlib.util

import keras
import tensorflow as tf

model = keras.Sequential([keras.Input((224, 224, 3)), keras.layers.Conv2D(2, 3, strides=8), keras.layers.Flatten(), keras.layers.Dense(2)])


class Doubling(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32)])
    def __call__(self, x):
        return 2 * x


module = Doubling()
call = module.__call__

time_steps, features = 3, 2
trained = keras.Sequential([keras.Input((time_steps, features)), keras.layers.LSTM(64), keras.layers.Dense(3)])

if importlib.util.find_spec("torch"):
    import torch

    net, example = torch.nn.Linear(3, 2), torch.zeros(1, 3)
