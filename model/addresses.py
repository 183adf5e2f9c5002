"""Which addresses may be connected to when somebody typed a name into a file (SSRF)."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def allowed(text: str, *, allow_private: bool) -> bool:
    """Whether a resolved address may be connected to, in whatever clothes it comes.

    Link-local ones (among them the metadata services of clouds), multicast, unspecified and
    reserved ones never may; loopback and private ones with `allow_private`.

    Examples
    --------
    >>> allowed("93.184.215.14", allow_private=False), allowed("::ffff:10.0.0.1", allow_private=False)
    (True, False)
    >>> allowed("127.0.0.1", allow_private=True), allowed("169.254.169.254", allow_private=True)
    (True, False)
    """
    try:
        address = _unwrap(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return False
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.is_reserved and not address.is_loopback:
        return False
    return address.is_global or allow_private


def _unwrap(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, Teredo, NAT64), where there is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
