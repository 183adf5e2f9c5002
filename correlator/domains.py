"""Correlation domains: the parts of the catalogue's graph between which trouble never joins.

A function of names and the catalogue alone, so that whoever routes an alert and whoever decides about it
say the same, whatever they have seen.
"""

from __future__ import annotations

from model.catalogue import Catalogue


class Domains:
    """The domain of each service.

    Services that call each other, however far, are one domain, named after its first service. A `domain`
    in the catalogue says it by hand: calls between services whose `domain` differs do not connect. A service
    that the catalogue does not list is a domain of its own.

    Examples
    --------
    >>> from model.catalogue import Service
    >>> shop = Catalogue.of([Service("web", depends_on=("cart",)), Service("cart"), Service("mail")])
    >>> domains = Domains(shop)
    >>> domains.of("web"), domains.of("cart"), domains.of("mail"), domains.of("new")
    ('cart', 'cart', 'mail', 'new')
    >>> domains.together("web", "mail"), domains.sizes()
    (False, {'cart': 2, 'mail': 1})
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._of = _parts(catalogue)

    def of(self, service: str) -> str:
        """The name of a service's domain."""
        return self._of.get(service, service)

    def together(self, one: str, other: str) -> bool:
        """Whether trouble of both may be one incident."""
        return self.of(one) == self.of(other)

    def sizes(self) -> dict[str, int]:
        """How many services of the catalogue each domain has, by name."""
        found: dict[str, int] = {}
        for name in sorted(self._of.values()):
            found[name] = found.get(name, 0) + 1
        return found

    def pairs(self) -> list[tuple[str, str]]:
        """Each service of the catalogue with its domain, sorted: what two who are to agree compare."""
        return sorted(self._of.items())


def _parts(catalogue: Catalogue) -> dict[str, str]:
    """The domain of each service of the catalogue."""
    services = catalogue.services
    found: dict[str, str] = {}
    for start in sorted(services):
        if start in found:
            continue
        # A domain with a name of its own must not be taken for the service of that name.
        own = services[start].domain
        name = f"domain:{own}" if own else start
        edge = [start]
        found[start] = name
        while edge:
            near = [n for at in edge for n in (*catalogue.callees(at), *catalogue.callers(at))]
            edge = [n for n in dict.fromkeys(near) if n not in found and services[n].domain == own]
            found.update(dict.fromkeys(edge, name))
    return found
