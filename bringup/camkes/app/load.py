"""What a CAmkES application's settings are, after includes, macros and imports.

As the build does it: cpp over the root file and over every imported file (seL4/camkes-tool
camkes/parser/stage0.py, stage2.py), the grammar over what comes out, and all assemblies merged. Nothing of
the file is run: arithmetic is bounded, and cpp has limits on time, memory and output.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bringup.base.errors import UsageError
from bringup.camkes.app.adl.declarations import Declaration, ImportDecl
from bringup.camkes.app.adl.parse import parse
from bringup.camkes.app.expressions import octal_like
from bringup.camkes.app.merge import Unit, merge
from bringup.camkes.app.origin import Origin, Sources
from bringup.camkes.app.preprocess import GO_ON, Own, Preprocessor, foreign
from bringup.camkes.model import Application, Place
from bringup.camkes.text.file import read_file, within_bounds
from bringup.camkes.text.mark import is_generated
from bringup.camkes.text.tokens import DIRECTIVE, HASH, NUMBER, STRING, WORD, TextError, Token, tokenize
from bringup.profile.toml_lines import shown_path

_FILES_MAX = 500
# What gcc's preprocessor replaces without being told (gcc -dM -E, gnu17): names kept for it, and these.
_PREDEFINED = frozenset(("linux", "unix", "i386"))
_RESERVED = re.compile(r"_[A-Z_]", re.ASCII)


def load_application(
    path: Path,
    *,
    include: Sequence[Path] = (),
    define: Sequence[str] = (),
    allow_missing: bool = False,
    data: bytes | None = None,
    draft_of: Path | None = None,
) -> Application:
    """Return the application whose root file is `path`, with cpp's -I folders and -D macros.

    With `data` that is taken for the file's content, which need not exist: a draft is read as it will be. The
    files of the application that it is a `draft_of` are read, too, wherever that lies.

    `import <...>` is looked for in the same folders. With `allow_missing`, files that cannot be found are
    passed over and listed in `missing_includes`, and what their macros would have said is "macro" values or
    nothing at all. Raises UsageError naming file and line, and MissingProgramError where cpp is needed and
    not installed.
    """
    root = path.absolute()
    shown = shown_path(root)
    content = read_file(root) if data is None else within_bounds(shown, data)
    own = Own.of(root, include, draft_of, generated=is_generated(content))
    loader = _Loader(Preprocessor(own, tuple(include), tuple(define)), allow_missing)
    loader.load(root, _text(content))
    merged = merge(loader.declared, complete=not loader.missing)
    return Application(
        root=shown,
        settings=merged.settings,
        instances=merged.instances,
        attributes=merged.attributes,
        files=tuple(shown_path(file) for file in loader.read),
        missing_includes=tuple(loader.missing),
        connections=merged.connections,
        ends=merged.ends,
        octal=tuple(loader.octal),
        components=merged.components,
        stock=merged.stock,
        macros=merged.macros,
        assembled=merged.assembled,
    )


@dataclass(slots=True)
class _Loader:
    preprocessor: Preprocessor
    allow_missing: bool
    declared: list[tuple[Unit, Declaration]] = field(default_factory=list)
    # Dicts as sets that keep their order.
    read: dict[Path, None] = field(default_factory=dict)
    missing: dict[str, None] = field(default_factory=dict)
    octal: list[tuple[str, Place]] = field(default_factory=list)
    sources: Sources = field(default_factory=Sources)

    def load(self, root: Path, text: str) -> None:
        """Read the root and everything it imports, each where its import stands."""
        waiting = deque(self._unit(root, text))
        while waiting:
            unit, file, part = waiting.popleft()
            if not isinstance(part, ImportDecl):
                self.declared.append((unit, part))
                continue
            target = self._find(file, part)
            if target is None:
                shown = f"<{part.target}>" if part.angle else part.target
                if not self.allow_missing:
                    error = unit.error(part.offset, f"the imported file {shown} is not found")
                    raise UsageError(str(error), hint=f"name the folder it is in with -I, {GO_ON}")
                self.missing[part.target] = None
            elif target not in self.read:
                self._refuse_foreign(str(target))
                waiting.extendleft(reversed(self._unit(target, _text(read_file(target)))))

    def _find(self, file: Path, part: ImportDecl) -> Path | None:
        """Return the file an import names: beside the file that was given to cpp, or in the -I folders."""
        folders = self.preprocessor.include if part.angle else (file.parent,)
        for folder in folders:
            target = Path(os.path.normpath(folder.absolute() / part.target))
            if target.is_file():
                return target
        return None

    def _refuse_foreign(self, file: str) -> None:
        if not self.preprocessor.own.has(file):
            raise foreign(file)

    def _unit(self, path: Path, text: str) -> list[tuple[Unit, Path, Declaration]]:
        """Return the declarations of one file, preprocessed where that can change it."""
        if len(self.read) >= _FILES_MAX:
            raise UsageError(f"{shown_path(path)}: the application has more than {_FILES_MAX} files")
        self.read[path] = None
        self.sources.give(str(path), text)
        tokens = _needs_no_cpp(text, self.preprocessor.define)
        macros = False
        if tokens is None:
            result = self.preprocessor.run(path, text, allow_missing=self.allow_missing)
            text, macros = result.text, bool(result.missing)
            self.missing |= dict.fromkeys(result.missing)
        origin = Origin(text, path, self.sources, self.preprocessor.own)
        if tokens is None:
            included = [file for file in origin.files if not file.startswith(result.stand_ins)]
            for file in included:
                self._refuse_foreign(file)
            self.read |= dict.fromkeys(Path(os.path.normpath(file)) for file in included)
        unit = Unit(text, origin.place, origin.error)
        try:
            tokens = tokens or tokenize(text, preprocessed=True)
            numbers = (token for token in tokens if token.kind == NUMBER and octal_like(token.text))
            self.octal += [(token.text, origin.place(token.start)) for token in numbers]
            return [(unit, path, part) for part in parse(tokens, macros=macros)]
        except TextError as error:
            raise origin.error(error.offset, str(error)) from None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _needs_no_cpp(text: str, define: Sequence[str]) -> list[Token] | None:
    """Return a file's tokens where cpp would only take comments away, None where it can do more.

    A run of cpp takes 20 ms, and most imported files need none.
    """
    try:
        tokens = tokenize(text)
    except TextError:
        return None
    defined = {re.split(r"[(=]", macro)[0] for macro in define} | _PREDEFINED
    for token in tokens:
        kind = token.kind
        if kind == WORD:
            if token.text in defined or _RESERVED.match(token.text):
                return None
        elif kind in (DIRECTIVE, HASH) or (kind == STRING and "\n" in token.text):
            return None
    return tokens
