"""Checks TOML data against pydantic models and tells a mistake as one sentence with FILE:LINE.

The sentence says what is there, what is expected, and the key that was probably meant. Values below a key
that holds credentials are never quoted.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bringup.base.errors import ProfileError
from bringup.base.near import nearest
from bringup.profile.toml_lines import KeyPath, TomlDocument, dotted

M = TypeVar("M", bound=BaseModel)

_SECRET_KEYS = frozenset({"password"})
_UNITS = {"_s": "seconds", "_bytes": "bytes"}
_OTHERS_SHOWN = 4
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text in quotes",
    "bool_type": "true or false",
    "tuple_type": "a list [...]",
    "list_type": "a list [...]",
    "dict_type": "a table",
    "model_type": "a table",
    "string_too_short": "a text that is not empty",
    "too_short": "at least one entry",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def validate(model: type[M], data: Mapping[str, Any], documents: Sequence[TomlDocument]) -> M:
    """Return `data` as `model`; raises ProfileError naming the place of what is wrong.

    `documents` are the files that `data` was merged from, the nearest first: a mistake is told where the
    nearest file has it.
    """
    try:
        return model.model_validate(data)
    except ValidationError as errors:
        # A misspelt key is also a missing one: the first says more.
        found = sorted(errors.errors(), key=lambda error: error["type"] != "extra_forbidden")
    message, hint = _tell(found[0], model, documents)
    others = [_tell(error, model, documents)[0] for error in found[1 : 1 + _OTHERS_SHOWN]]
    if others:
        more = f"{len(found) - 1} more" if len(found) - 1 > _OTHERS_SHOWN else "also"
        hint = "; ".join([*([hint] if hint else []), f"{more}: {others[0]}", *others[1:]])
    raise ProfileError(message, hint=hint)


def place_of(documents: Sequence[TomlDocument], path: KeyPath) -> str:
    """Return FILE:LINE of `path` in the nearest file that has it, or of the nearest table around it."""
    return _owner(documents, path).place(path)


def _owner(documents: Sequence[TomlDocument], path: KeyPath) -> TomlDocument:
    while path:
        for document in documents:
            if document.line_of(path) is not None:
                return document
        path = path[:-1]
    return documents[0]


def did_you_mean_key(wrong: str, known: Sequence[str]) -> str:
    """Return `; did you mean ...?` if something known is near to `wrong`, else nothing."""
    near = nearest(wrong, known)
    if near is None:
        return ""
    unit = next((f" (in {name})" for end, name in _UNITS.items() if near.endswith(end)), "")
    return f"; did you mean `{near}`{unit}?"


def _tell(
    error: ErrorDetails, model: type[BaseModel], documents: Sequence[TomlDocument]
) -> tuple[str, str | None]:
    path = tuple(part for part in error["loc"] if part != "[key]")
    table, key = path[:-1], str(path[-1]) if path else ""
    if error["type"] == "missing":
        place = _owner(documents, table).place(path)
        return f"{place}: {_table_name(table)} has no `{key}`", _shape(_annotation_at(model, path))
    place = place_of(documents, path)
    if error["type"] == "extra_forbidden":
        known = _keys_of(model, table)
        return (
            f"{place}: unknown key `{key}` in {_table_name(table)}{did_you_mean_key(key, known)}",
            f"keys of {_table_name(table)}: {', '.join(known)}" if known else None,
        )
    if error["type"] in ("value_error", "assertion_error"):
        reason = str(error["ctx"]["error"])
        return f"{place}: {_with_value(path, error['input'])}{reason}", None
    expected = _expected(error, path)
    if error["type"] not in ("model_type", "dict_type"):
        return f"{place}: {_with_value(path, error['input'])}expected {expected}", None
    # A text where a table belongs may be anything, a whole URL with a password included.
    return f"{place}: `{dotted(path)}`: expected {expected}", _shape(_annotation_at(model, path))


def _expected(error: ErrorDetails, path: KeyPath) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _EXPECTED:
        name = next((part for part in reversed(path) if isinstance(part, str) and part != "value"), "")
        unit = next((f" of {unit}" for end, unit in _UNITS.items() if name.endswith(end)), "")
        return _EXPECTED[kind] + (unit if kind in ("int_type", "float_type") else "")
    if kind == "string_too_long":
        return f"at most {context['max_length']} characters"
    if kind in ("literal_error", "enum"):
        return f"one of {context['expected']}".replace("'", '"')
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        bound = context[name]
        return f"{words} {bound:g}" if isinstance(bound, float) else f"{words} {bound}"
    return str(error["msg"]).lower().removeprefix("input should be ")


def _with_value(path: KeyPath, value: Any) -> str:
    if not path:
        return ""
    if _SECRET_KEYS & {part for part in path if isinstance(part, str)}:
        return f"`{dotted(path)}`: "
    if not isinstance(value, str | int | float):
        return f"`{dotted(path)}`: "
    shown = f'"{value[:60]}" (a text)' if isinstance(value, str) else str(value).lower()
    return f"`{dotted(path)}` is {shown}: "


def _table_name(path: KeyPath) -> str:
    if not path:
        return "the top of the file"
    if isinstance(path[-1], int):
        return f"number {path[-1] + 1} of [[{'.'.join(str(part) for part in path[:-1])}]]"
    return f"[{'.'.join(str(part) for part in path)}]"


def _shape(annotation: Any) -> str | None:
    if not _is_model(annotation):
        return None
    fields = [field.alias or name for name, field in annotation.model_fields.items() if field.is_required()]
    return "expected { " + ", ".join(f"{name} = ..." for name in fields) + " }"


def _keys_of(model: type[BaseModel], path: KeyPath) -> list[str]:
    annotation = _annotation_at(model, path)
    if not _is_model(annotation):
        return []
    return [field.alias or name for name, field in annotation.model_fields.items()]


def _annotation_at(model: type[BaseModel], path: KeyPath) -> Any:
    annotation: Any = model
    for part in path:
        if _is_model(annotation):
            fields = {field.alias or name: field for name, field in annotation.model_fields.items()}
            if part not in fields:
                return None
            annotation = fields[str(part)].annotation
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        elif get_origin(annotation) is tuple:
            annotation = get_args(annotation)[0]
        else:
            return None
        annotation = _without_none(annotation)
    return annotation


def _without_none(annotation: Any) -> Any:
    # Annotated[X, ...] -> X and X | None -> X: no model here is a union of anything else.
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    if get_origin(annotation) in (Union, types.UnionType):
        return _without_none(next(choice for choice in get_args(annotation) if choice is not types.NoneType))
    return annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
