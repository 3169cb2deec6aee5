"""One WHIP or WHEP exchange with the standard library alone."""
import urllib.parse
import urllib.request


def offer(url, sdp):
    """Posts an offer; returns the answer and the resource's URL."""
    request = urllib.request.Request(url, data=sdp.encode(), headers={"Content-Type": "application/sdp"}, method="POST")
    with urllib.request.urlopen(request, timeout=20) as response:
        if response.status != 201:
            raise RuntimeError(f"status {response.status}")
        return response.read().decode(), urllib.parse.urljoin(url, response.headers["Location"])


def end(resource):
    """Deletes the resource."""
    request = urllib.request.Request(resource, method="DELETE")
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.status
