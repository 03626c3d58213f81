"""Errors that the user can fix."""

_EXTRAS = {"onnxruntime": "runtime"}  # what installs a package; any other: train


class InputError(ValueError):
    """Something that the user gave (a folder, a file, a parameter) cannot be used.

    The message names what was given, what is wrong with it and what to do; the command line prints
    it alone, without a traceback.
    """


def input_error_behind(error: BaseException | None) -> InputError | None:
    """Find the InputError behind an error: Kedro wraps what a dataset raises."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    return error


class UnreadableClipError(ValueError):
    """One recording cannot be used; the message is the reason listed in ``rejected_clips``."""


class SilentClipError(UnreadableClipError):
    """There is no sound in a recording: a sensor that is unplugged, say."""


def missing_package(error: ModuleNotFoundError) -> str:
    """Say which package is not installed, and what installs it.

    >>> missing_package(ModuleNotFoundError(name="torch"))
    "torch is not installed: pip install 'anomalous-sound[train]'"
    """
    name = (error.name or "a package").partition(".")[0]
    return f"{name} is not installed: pip install 'anomalous-sound[{_EXTRAS.get(name, 'train')}]'"
