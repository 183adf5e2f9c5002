"""The sentences of errors and of the command line, found in the code.

An error's text is built where it is raised. Here it is read as a template: each value in it becomes
a numbered placeholder, `f"must be at least {low}"` the message id `must be at least {0}`.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

SILENT = frozenset(
    {
        "AssertionError", "KeyError", "LookupError", "TypeError", "TimeoutError", "PermissionError", "SnapshotError",
        "ProbeFault", "Exit", "ConfigurationError", "type",
    }
)  # fmt: skip
"""Raised, but never said to a person as they are; `ProbeFault` has a message id already."""

FOR_MACHINES = (
    "store/rows.py", "store/migration", "collectors/alert_", "collectors/alertmanager.py",
    "collectors/der.py", "collectors/elastic_round.py", "collectors/exemplars.py", "collectors/json_input.py",
    "collectors/heartbeat.py", "collectors/layout.py", "collectors/native_histograms.py", "collectors/otlp_",
    "collectors/protowire.py", "collectors/remote_", "collectors/snappy.py", "collectors/silences.py",
    "detectors/levels.py", "detectors/slo_rings.py", "detectors/tracks.py", "pipeline/checkpoints.py",
    "pipeline/demo/http1.py", "pipeline/demo/loopback.py", "pipeline/demo/mischief.py", "pipeline/demo/shop.py",
    "pipeline/demo/witness.py", "pipeline/distributed/blocks.py", "pipeline/distributed/correlating.py",
    "pipeline/distributed/detecting.py", "pipeline/distributed/wire.py", "pipeline/docs.py", "console/body.py", "store/journal.py",
    "console/api_intake.py", "console/api_otlp.py", "console/api_remote_write.py", "console/api_webhooks.py",
)  # fmt: skip
"""Modules whose errors are answers to programs that push, or end in a log or as a mistake of ours:
English, as the protocols' own texts are."""

PLACES: dict[str, int | str] = {
    "reading.problem": 2, "RunbookError": 2, "BodyRefused": 1, "Problem": 4, "problem": 1, "refuse": 1,
    "output.say": 0, "output.show": 0, "output.translate": 0, "show_table": "empty", "Option": "help", "Argument": "help", "prompt": 0,
    "BadParameter": 0, "Typer": "help",
}  # fmt: skip
"""Calls that are given a sentence: at which place, or by which name. All else that is raised has it first."""

KNOWN = frozenset({"what", "strerror", "problems", "help"})
"""Attributes that hold what another module, or the system, has said."""

_INNER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

WORDLESS = frozenset({"str", "repr", "text", "tell", "retell", "printable", "join", "translate"})
"""Calls that make no sentence of their own."""


@dataclass(frozen=True, slots=True)
class Found:
    """The templates of one module, and the places where a sentence goes out that cannot be read."""

    templates: tuple[str, ...]
    unread: tuple[tuple[int, str], ...]


def template(node: ast.expr) -> str | None:
    """The expression as a template, None where it is no text.

    Examples
    --------
    >>> template(ast.parse('f"a {x} of {y + 1}: " + why', mode="eval").body)
    'a {0} of {1}: {2}'
    """
    pieces = _pieces(node)
    if pieces is None or not any(pieces):
        return None
    text, number = "", 0
    for piece in pieces:
        if piece is None:
            text, number = f"{text}{{{number}}}", number + 1
        else:
            text += piece.replace("{", "{{").replace("}", "}}")
    return text


def _pieces(node: ast.expr) -> list[str | None] | None:
    """Literal parts, None for each value between them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return [str(v.value) if isinstance(v, ast.Constant) else None for v in node.values]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _pieces(node.left), _pieces(node.right)
        if left is None and right is None:
            return None
        return [*([None] if left is None else left), *([None] if right is None else right)]
    return None


def within(source: str) -> Found:
    """What a module says in errors and on the command line.

    Examples
    --------
    >>> found = within('def f(x):\\n    what = f"no {x} here"\\n    raise InputError(what)')
    >>> found.templates, found.unread
    (('no {0} here',), ())
    >>> within("def f(x):\\n    raise InputError(x.why)").unread
    ((2, 'x.why'),)
    """
    return _Module(ast.parse(source)).read()


class _Module:
    """Follows what is said back to the literals it was made of."""

    def __init__(self, tree: ast.Module) -> None:
        self._templates: dict[str, None] = {}
        # An error that is raised is met as a call, too.
        self._unread: dict[tuple[int, str], None] = {}
        self._tree = tree
        self._functions: dict[str, list[list[ast.AST]]] = {}

    def read(self) -> Found:
        """Look into every function, and at what stands outside of them."""
        waiting: deque[tuple[_Scope, ast.AST]] = deque([(_Scope({}, set()), self._tree)])
        scopes: list[tuple[_Scope, list[ast.AST]]] = []
        while waiting:
            around, body = waiting.popleft()
            own = list(_own(body))
            scope = around.within(body, own)
            scopes.append((scope, own))
            if isinstance(body, ast.FunctionDef | ast.AsyncFunctionDef):
                self._functions.setdefault(body.name, []).append(own)
            waiting.extend((scope, node) for node in own if isinstance(node, _INNER))
        for scope, own in scopes:
            for node in own:
                for argument in _said(node):
                    self._take(argument, scope)
        return Found(tuple(self._templates), tuple(self._unread))

    def _returned(self, name: str) -> Iterator[ast.expr]:
        """What the functions of that name give back."""
        for own in self._functions.get(name, ()):
            yield from (node.value for node in own if isinstance(node, ast.Return) and node.value)

    def _take(self, node: ast.expr, scope: _Scope, seen: frozenset[str] = frozenset()) -> None:
        """Note an expression that is text, or follow it to where it is."""
        if (text := template(node)) is not None:
            self._templates.setdefault(text)
            self._take_parts(node, scope, seen)
        elif isinstance(node, ast.IfExp):
            self._take(node.body, scope, seen)
            self._take(node.orelse, scope, seen)
        elif isinstance(node, ast.BoolOp):
            for value in node.values:
                self._take(value, scope, seen)
        elif isinstance(node, ast.Name):
            self._take_name(node, scope, seen)
        elif isinstance(node, ast.Call):
            self._take_call(node, scope, seen)
        elif isinstance(node, ast.Attribute) and node.attr in KNOWN:
            return
        elif not isinstance(node, ast.Constant | ast.JoinedStr | ast.Subscript | ast.Tuple):
            self._unread.setdefault((node.lineno, ast.unparse(node)))

    def _take_parts(self, node: ast.expr, scope: _Scope, seen: frozenset[str]) -> None:
        """Sentences within a sentence: `f"… {'a little' if one else 'a lot'}"`, `"… " + hint(key)`."""
        for part in ast.walk(node):
            branches = [part.body, part.orelse] if isinstance(part, ast.IfExp) else []
            for branch in branches:
                if " " in (template(branch) or ""):
                    self._take(branch, scope, seen)
            if isinstance(part, ast.Call) and _name(part) in self._functions:
                self._take_call(part, scope, seen)

    def _take_name(self, node: ast.Name, scope: _Scope, seen: frozenset[str]) -> None:
        if node.id in seen or node.id in scope.given:
            return  # said where it was raised, or by who calls
        if node.id not in scope.assigned:
            self._unread.setdefault((node.lineno, node.id))
        for value in scope.assigned.get(node.id, ()):
            self._take(value, scope, seen | {node.id})

    def _take_call(self, node: ast.Call, scope: _Scope, seen: frozenset[str]) -> None:
        name = _name(node)
        if name in WORDLESS or name in seen:
            return
        for value in self._returned(name):
            if " " in (template(value) or "") or isinstance(value, ast.IfExp):
                self._take(value, scope, seen | {name})


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the names of a function are: what is assigned to them, or that somebody else gives them."""

    assigned: dict[str, list[ast.expr]]
    given: set[str]

    def within(self, body: ast.AST, own: list[ast.AST]) -> _Scope:
        """The names as they are known inside of a function."""
        assigned: dict[str, list[ast.expr]] = {}
        given = set(self.given)
        if isinstance(body, ast.FunctionDef | ast.AsyncFunctionDef):
            words = body.args
            given |= {one.arg for one in (*words.args, *words.posonlyargs, *words.kwonlyargs)}
        for node in own:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    for name in ast.walk(target):
                        if isinstance(name, ast.Name):
                            assigned.setdefault(name.id, []).append(node.value)
            elif isinstance(node, ast.NamedExpr):
                assigned.setdefault(node.target.id, []).append(node.value)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                given.add(node.name)
            elif isinstance(node, ast.For | ast.comprehension):
                given |= {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}
        return _Scope({**self.assigned, **assigned}, given - set(assigned))


def _own(body: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without what is in functions and classes within it."""
    waiting = deque(ast.iter_child_nodes(body))
    while waiting:
        node = waiting.popleft()
        yield node
        if not isinstance(node, _INNER):
            waiting.extend(ast.iter_child_nodes(node))


def _name(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def _is_error(call: ast.Call) -> bool:
    """Whether an exception is made whose first argument is said to people."""
    name = _name(call)
    return name not in SILENT and name not in PLACES and name.lstrip("_")[:1].isupper()


def _said(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions a node hands to people."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and _is_error(node.exc):
        yield from node.exc.args[:1]
    if not isinstance(node, ast.Call):
        return
    if _name(node).endswith("Error") and _is_error(node):  # returned, to be raised
        yield from node.args[:1]
    place = PLACES.get(ast.unparse(node.func), PLACES.get(_name(node)))
    if isinstance(place, int):
        yield from node.args[place : place + 1]
    elif place is not None:
        yield from (word.value for word in node.keywords if word.arg == place)
    if _name(node) == "show_table" and node.args and isinstance(node.args[0], ast.List):
        yield from node.args[0].elts


def _is_command(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and _name(decorator) in ("command",)


def documented(source: str, name: str) -> Iterator[str]:
    """What `tocsin COMMAND --help` says of each command: docstrings of a module of commands.

    Typer shows them paragraph by paragraph, with the lines joined.
    """
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and (
            node.name == name or any(map(_is_command, node.decorator_list))
        ):
            for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
                yield " ".join(paragraph.split()).replace("{", "{{").replace("}", "}}")
