"""The accepted parameters."""
