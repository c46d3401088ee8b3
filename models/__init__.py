"""The network and the functions that TFX calls back by dotted path."""
