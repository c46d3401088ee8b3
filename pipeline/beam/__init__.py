"""Beam, which the steps over many rows run on: the engines, their arguments, and which of them a run takes."""
