"""Say in words what is wrong with a parameter, and what is accepted for it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
_WORDS = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true, false"}


def describe_mistakes(
    error: ValidationError, group: type[BaseModel], *, noun: str = "parameter"
) -> str:
    """Name each parameter that is not accepted, what was given and what is accepted.

    Args:
        error: of validating the parameters.
        group: what they were validated against.
        noun: what to call a parameter.

    Returns:
        One line; mistakes are separated by semicolons.
    """
    mistakes = dict.fromkeys(_describe(mistake, group, noun) for mistake in error.errors())
    return "; ".join(mistakes) + "."


def suggestion(name: str, known: Sequence[str]) -> str:
    """Return the known name that is spelled most like ``name``, or an empty string."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), "")


def _describe(mistake: Mapping[str, Any], top: type[BaseModel], noun: str) -> str:
    names, group, accepted = _find(mistake["loc"], top) if mistake["loc"] else ([], top, "")
    name, value = ".".join(names), mistake["input"]
    match mistake["type"]:
        case "value_error":  # a rule of our own, in words already
            return str(mistake["ctx"]["error"])
        case "extra_forbidden":
            known = sorted(group.model_fields)
            close = suggestion(names[-1], known)
            hint = f"did you mean '{'.'.join([*names[:-1], close])}'? " if close else ""
            return f"unknown {noun} '{name}'; {hint}accepted here: {', '.join(known)}"
        case "missing":
            return f"{noun} '{name}' is missing"
        case "union_tag_invalid":
            tag = mistake["ctx"]["discriminator"].strip("'")
            wrong, tags = mistake["ctx"]["tag"], mistake["ctx"]["expected_tags"]
            return f"{noun} '{name}.{tag}' is '{wrong}'; accepted: {tags.replace(chr(39), '')}"
        case "union_tag_not_found":
            tag = mistake["ctx"]["discriminator"].strip("'")
            return f"{noun} '{name}' is {value!r}; it is a group with a '{tag}'"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"{noun} '{name}' is {value!r}; it is a group: give {accepted}"
        case _:
            return f"{noun} '{name}' is {value!r}; accepted: {accepted}"


def _find(
    location: tuple[Any, ...], top: type[BaseModel]
) -> tuple[list[str], type[BaseModel], str]:
    """Find a parameter from pydantic's location, which also counts list items and union tags.

    Returns:
        The parts of its name, the group it is in, and what is accepted for it.
    """
    group, names, accepted = top, list[str](), ""
    parts = list(map(str, location))
    while parts:
        names.append(parts.pop(0))
        field = group.model_fields.get(names[-1])
        if field is None:
            return names, group, ""
        accepted = _accepted(field.annotation, field.metadata)
        inner: Any = field.annotation
        if get_origin(inner) is list and parts:
            names.append(parts.pop(0))
            (item,) = get_args(inner)
            field = FieldInfo.from_annotation(item)
            inner = field.annotation
        if get_origin(inner) is dict and parts:
            names.append(parts.pop(0))
            return names, group, _accepted(get_args(inner)[1])
        tag_name = field.discriminator
        if isinstance(tag_name, str) and parts:  # the tag comes next: which group of the union
            tag = parts.pop(0)
            inner = next(
                option
                for option in get_args(inner)
                if tag in get_args(option.model_fields[tag_name].annotation)
            )
        if not parts or not _is_group(inner):
            break
        group = inner
    return names, group, accepted


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _accepted(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Say in words what a type accepts."""
    if annotation is type(None):
        return "null"
    if _is_group(annotation):
        return ", ".join(annotation.model_fields)
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, get_args(annotation)))
    if get_origin(annotation) is list:
        return f"a list of: {_accepted(get_args(annotation)[0])}"
    if get_origin(annotation) is dict:
        return f"names, each with {_accepted(get_args(annotation)[1])}"
    if get_origin(annotation) is Annotated:
        return _accepted(annotation.__origin__, annotation.__metadata__)
    if options := get_args(annotation):
        return " or ".join(_accepted(option) for option in options)
    return " ".join([_WORDS[annotation], *_bounds(metadata)])


def _bounds(metadata: Sequence[Any]) -> list[str]:
    found = []
    for item in metadata:
        for constraint in getattr(item, "metadata", [item]):  # a Field holds its constraints
            for attribute, word in _BOUNDS.items():
                bound = getattr(constraint, attribute, None)
                if bound is not None:
                    found.append(f"{word} {bound}")
    return [" and ".join(found)] if found else []
