"""Tops of the network that Keras does not have."""
