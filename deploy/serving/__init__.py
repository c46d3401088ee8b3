"""A TF Serving server and client."""
