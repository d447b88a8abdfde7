"""Which variant of the page does a client ask for, by its Accept headers?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.publish.exposition import Format, Variant

_QUALITY = re.compile(r"0(\.\d*)?|1(\.0*)?|\.\d+")
_MEDIA = {
    Format.TEXT: ("text", "plain", "0.0.4"),
    Format.OPENMETRICS: ("application", "openmetrics-text", "1.0.0"),
}


def negotiate(accept: str | None, accept_encoding: str | None) -> Variant:
    """What to answer, after RFC 9110. Where nothing fits it is the text format, plain: never a refusal."""
    return Variant(_format(accept or ""), _gzip(accept_encoding or ""))


def _format(accept: str) -> Format:
    ranges = list(_ranges(accept))
    best, best_rank = Format.TEXT, (0.0, 0, 0)
    for shape, media in _MEDIA.items():
        # The most specific range says how welcome a format is; among equals the one that was named first.
        matches = [
            (closeness, -position, quality)
            for position, (name, params, quality) in enumerate(ranges)
            if (closeness := _closeness(name, params.get("version"), media))
        ]
        if matches:
            closeness, earliness, quality = max(matches)
            rank = (quality, closeness, earliness)
            if quality > 0 and rank > best_rank:
                best, best_rank = shape, rank
    return best


def _closeness(name: str, version: str | None, media: tuple[str, str, str]) -> int:
    """How closely a media range names a format; 0 where it does not."""
    kind, subtype, ours = media
    if name == f"{kind}/{subtype}":
        return {ours: 4, None: 3}.get(version, 0)
    return {f"{kind}/*": 2, "*/*": 1}.get(name, 0)


def _gzip(accept_encoding: str) -> bool:
    qualities = {name: quality for name, _, quality in _ranges(accept_encoding)}
    anything = qualities.get("*", 0.0)
    compressed = qualities.get("gzip", qualities.get("x-gzip", anything))
    return compressed > 0 and compressed >= qualities.get("identity", 0.0)


def _ranges(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """(name, parameters, quality) of each element of the header; what is rubbish is left out."""
    for element in header.split(","):
        name, *rest = (part.strip() for part in element.split(";"))
        params = {}
        for part in rest:
            key, _, value = part.partition("=")
            params[key.strip().lower()] = value.strip().strip('"')
        quality = params.pop("q", "1")
        if name and _QUALITY.fullmatch(quality):
            yield name.lower(), params, float(quality)
