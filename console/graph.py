"""The dependency graph as a picture: callers on the left of what they call, layers by depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from markupsafe import Markup

from console.plain import escape
from model.catalogue import Catalogue

NODE_WIDTH, NODE_HEIGHT = 132, 44
GAP_X, GAP_Y, MARGIN = 56, 16, 10
NAME_MAX = 16


def layers(catalogue: Catalogue, names: Sequence[str]) -> list[list[str]]:
    """Place each service one layer beyond the deepest of its callers; a cycle is cut where it is met.

    Within a layer, services stand near their callers, so that few lines cross.

    Examples
    --------
    >>> from model.catalogue import Service
    >>> shop = Catalogue.of([Service("gateway", depends_on=("cart", "db")), Service("cart", depends_on=("db",))])
    >>> layers(shop, ["cart", "db", "gateway"])
    [['gateway'], ['cart'], ['db']]
    """
    wanted = set(names)
    depth: dict[str, int] = {}
    for name in sorted(names):
        _depth(catalogue, name, wanted, depth, ())
    rows: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in sorted(names):
        rows[depth[name]].append(name)
    place = {name: float(i) for i, name in enumerate(rows[0])} if rows else {}
    for row in rows[1:]:
        row.sort(key=lambda name: (_middle(catalogue, name, place), name))
        place |= {name: float(i) for i, name in enumerate(row)}
    return rows


def _depth(
    catalogue: Catalogue,
    name: str,
    wanted: set[str],
    depth: dict[str, int],
    path: tuple[str, ...],
) -> int:
    if name in depth:
        return depth[name]
    if name in path or len(path) > 50:
        return -1
    above = [
        _depth(catalogue, caller, wanted, depth, (*path, name))
        for caller in catalogue.callers(name)
        if caller in wanted
    ]
    depth[name] = max(above, default=-1) + 1
    return depth[name]


def _middle(catalogue: Catalogue, name: str, place: Mapping[str, float]) -> float:
    above = [place[caller] for caller in catalogue.callers(name) if caller in place]
    return sum(above) / len(above) if above else 0.0


def draw(
    catalogue: Catalogue,
    names: Sequence[str],
    states: Mapping[str, str],
    notes: Mapping[str, str],
    *,
    title: str,
) -> Markup:
    """The graph, each service a link to its page.

    Parameters
    ----------
    states : mapping of service to state
        "ok", "info", "warning", "critical" or "acknowledged": the class that colours the node.
    notes : mapping of service to text
        The second line of the node.
    """
    rows = layers(catalogue, names)
    tallest = max((len(row) for row in rows), default=0)
    width = 2 * MARGIN + len(rows) * NODE_WIDTH + max(len(rows) - 1, 0) * GAP_X
    height = 2 * MARGIN + tallest * (NODE_HEIGHT + GAP_Y) - GAP_Y
    if not rows:
        return Markup("")
    at: dict[str, tuple[float, float]] = {}
    for column, row in enumerate(rows):
        top = (height - len(row) * (NODE_HEIGHT + GAP_Y) + GAP_Y) / 2
        for place, name in enumerate(row):
            x = MARGIN + column * (NODE_WIDTH + GAP_X)
            at[name] = (x, top + place * (NODE_HEIGHT + GAP_Y))
    parts = [
        f'<svg class="graph" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img"><title>{escape(title)}</title>'
    ]
    parts += [_edge(at[a], at[b], states.get(b, "ok")) for a, b in _edges(catalogue, names)]
    parts += [_node(name, at[name], states, notes) for row in rows for name in row]
    return Markup("".join([*parts, "</svg>"]))


def _edges(catalogue: Catalogue, names: Sequence[str]) -> list[tuple[str, str]]:
    wanted = set(names)
    return [(a, b) for a in sorted(names) for b in catalogue.callees(a) if b in wanted]


def _edge(caller: tuple[float, float], callee: tuple[float, float], state: str) -> str:
    x1, y1 = caller[0] + NODE_WIDTH, caller[1] + NODE_HEIGHT / 2
    x2, y2 = callee[0], callee[1] + NODE_HEIGHT / 2
    bend = max(abs(x2 - x1) / 2, 24)
    path = f"M{x1:.0f} {y1:.1f}C{x1 + bend:.0f} {y1:.1f} {x2 - bend:.0f} {y2:.1f} {x2:.0f} {y2:.1f}"
    return f'<path class="edge {escape(state)}" d="{path}"/>'


def _node(
    name: str,
    at: tuple[float, float],
    states: Mapping[str, str],
    notes: Mapping[str, str],
) -> str:
    x, y = at
    short = name if len(name) <= NAME_MAX else name[: NAME_MAX - 1] + "…"
    return (
        f'<a href="{service_path(name)}"><g class="node {escape(states.get(name, "ok"))}">'
        f"<title>{escape(name)}</title>"
        f'<rect x="{x:.0f}" y="{y:.1f}" width="{NODE_WIDTH}" height="{NODE_HEIGHT}" rx="8"/>'
        f'<circle cx="{x + 14:.0f}" cy="{y + 16:.1f}" r="4.5"/>'
        f'<text class="name" x="{x + 25:.0f}" y="{y + 20.5:.1f}">{escape(short)}</text>'
        f'<text class="note" x="{x + 25:.0f}" y="{y + 36:.1f}">{escape(notes.get(name, ""))}</text>'
        "</g></a>"
    )


def service_path(name: str) -> str:
    """The page of a service, any characters in its name quoted."""
    return f"/services/{quote(name, safe='')}"
