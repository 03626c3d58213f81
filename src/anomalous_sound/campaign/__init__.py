"""A campaign: one command that trains a method on several machine types, with several seeds."""
