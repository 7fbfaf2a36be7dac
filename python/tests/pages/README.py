# What the page takes for granted: a trained model, what it was trained on, and inputs.
import keras
import numpy as np

x_train = np.load("models/digits/calibration.npy")
x = x_train[:2]
model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")])
