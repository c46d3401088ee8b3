"""TFX nodes of this project, each a folder with its spec and its executor."""
