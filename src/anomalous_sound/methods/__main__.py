"""``python -m anomalous_sound.methods``: the names of the methods, one per line."""

from anomalous_sound.methods import methods

print("\n".join(methods()))
