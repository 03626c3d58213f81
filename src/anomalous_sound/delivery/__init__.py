"""Bring events to someone: a file, a web server, a broker; nothing is lost while they are away."""
