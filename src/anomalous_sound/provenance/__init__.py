"""How something was made: the software, the lock of its versions, what was asked for."""
