"""Follow a folder, a stream or a microphone, and tell of what is heard."""
