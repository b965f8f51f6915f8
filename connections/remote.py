"""Who is at the other end of a request.

Below the door and the sign-in alike.
"""

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def remote_address(request: HttpRequest) -> str:
    """Their IP address: the proxy's word for it where a proxy of ours stands in front."""
    if settings.BEHIND_PROXY:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
        if forwarded:
            return forwarded.rsplit(",", 1)[-1].strip()
    return request.META.get("REMOTE_ADDR", "")


def remote_network(request: HttpRequest) -> str:
    """Whom to count them as: an IPv4 address, or the /64 that one subscriber has of IPv6."""
    address = remote_address(request)
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ip_network((parsed, 64), strict=False) if isinstance(parsed, IPv6Address) else parsed)
