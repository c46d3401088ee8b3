"""Reads a user's table, whatever its format, and writes it as splits of tf.Example."""
