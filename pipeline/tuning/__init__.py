"""Searches for better training options: what a config may ask for, and what earlier searches found."""
