"""``python -m anomalous_sound.methods``: the methods that learn from sound alone, one per line."""

from anomalous_sound.methods.discovery import trained_methods

print("\n".join(trained_methods()))
