"""Errors that the user can fix."""


class InputError(ValueError):
    """Something that the user gave (a folder, a file, a parameter) cannot be used.

    The message names what was given, what is wrong with it and what to do; the command line prints
    it alone, without a traceback.
    """


class UnreadableClipError(ValueError):
    """One recording cannot be used; the message is the reason listed in ``rejected_clips``."""


class SilentClipError(UnreadableClipError):
    """There is no sound in a recording: a sensor that is unplugged, say."""
