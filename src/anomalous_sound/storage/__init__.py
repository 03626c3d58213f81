"""Files and folders written whole or not at all, and the identity of what was computed before."""
