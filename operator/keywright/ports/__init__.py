"""Narrow protocols to the world outside; their docstrings say what absence is, what may be repeated, what is raised."""
