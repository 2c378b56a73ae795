"""The origin lock: an address made from a named credential keeps its scheme, host, port and path prefix.

>>> origin = Origin.parse("https://api.acme.example/v2/")
>>> origin.url_for("/orders?state=open")
'https://api.acme.example/v2/orders?state=open'
>>> origin.url_for("/../admin")
Traceback (most recent call last):
...
credentials.errors.OutsideOrigin: A path must not climb out of its folder with `..`.
"""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from requests.utils import requote_uri

from credentials.errors import OutsideOrigin

__all__ = ["Origin", "refuse_unsafe_characters"]

_MAXIMUM_LENGTH = 8_000
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SEPARATORS = re.compile(r"[/\\]")
# Controls, format characters (invisible, may turn the writing direction), surrogates, line and paragraph separators.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# A path is decoded until nothing changes, as a chain of proxies would; nobody needs more rounds than this.
_MAXIMUM_ENCODING_DEPTH = 5
_WRITTEN_TOGETHER = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"}


@dataclass(frozen=True)
class Origin:
    """Scheme, host, port and path prefix, as `parse` accepted them."""

    scheme: str
    authority: str
    """Host in lower case, with `:port` if one was given."""
    prefix: str
    """Path without its trailing slash; "" for none."""
    has_trailing_slash: bool

    @classmethod
    def parse(cls, url: str) -> "Origin":
        """Read a named credential's URL. Raises `OutsideOrigin` with a sentence that says what is wrong."""
        refuse_unsafe_characters(url)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise OutsideOrigin("This is not a URL.") from error
        if parts.scheme not in {"http", "https"}:
            raise OutsideOrigin("A URL begins with https:// (or http:// inside the house).")
        if "@" in parts.netloc:
            raise OutsideOrigin("A URL holds no user name or password: those are a principal's secrets.")
        if "?" in url or "#" in url:
            raise OutsideOrigin("The URL of a named credential has no query and no fragment.")
        authority = _authority(parts, port)
        _refuse_path(parts.path)
        path = requote_uri(parts.path)
        return cls(parts.scheme, authority, path.rstrip("/"), has_trailing_slash=path.endswith("/"))

    @property
    def base(self) -> str:
        """What every address within begins with."""
        return f"{self.scheme}://{self.authority}{self.prefix}"

    def url_for(self, path_and_query: str) -> str:
        """Return the address of `/path?query` within this origin ("" is the origin itself). Raises `OutsideOrigin`."""
        if len(path_and_query) > _MAXIMUM_LENGTH:
            raise OutsideOrigin(f"A path with its query is at most {_MAXIMUM_LENGTH:,} characters long.")
        refuse_unsafe_characters(path_and_query)
        if path_and_query and path_and_query[0] not in "/?":
            raise OutsideOrigin("Give a path that begins with `/`; scheme, host and port are the credential's.")
        if "#" in path_and_query:
            raise OutsideOrigin("A fragment is never sent. Write `#` as %23 if it belongs to the path or query.")
        path, question_mark, query = path_and_query.partition("?")
        _refuse_path(path)
        if not path and (self.has_trailing_slash or not self.prefix):
            path = "/"
        rest = _STRAY_PERCENT.sub("%25", f"{path}{question_mark}{query}")
        return self._within(requote_uri(f"{self.base}{rest}"))

    def holds_path(self, path: str) -> bool:
        """Return whether a path that somebody else names (a redirect) lies within the origin, however it is read."""
        try:
            refuse_unsafe_characters(path)
            _refuse_path(path)
        except OutsideOrigin:
            return False
        return path == self.prefix or path.startswith(f"{self.prefix}/")

    def _within(self, url: str) -> str:
        """Return `url` if another reading of it still finds this origin: the last line of defence."""
        parts = urlsplit(url)
        within = parts.path == self.prefix or parts.path.startswith(f"{self.prefix}/")
        if parts.scheme != self.scheme or parts.netloc != self.authority or not within:
            raise OutsideOrigin
        return url


def _authority(parts: SplitResult, port: int | None) -> str:
    try:
        host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.removesuffix(":")
        if not host.isascii():
            _refuse_mixed_scripts(host)
            host = host.encode("idna").decode()
    except UnicodeError as error:
        raise OutsideOrigin("The host is not a valid name.") from error
    if not _HOST.fullmatch(host):
        raise OutsideOrigin("The URL names no valid host.")
    if port == 0:
        raise OutsideOrigin("There is no port 0.")
    return host.lower() if port is None else f"{host.lower()}:{port}"


def _refuse_mixed_scripts(host: str) -> None:
    """Raise `OutsideOrigin` for a label of several scripts: that is how one name is made to look like another.

    https://www.unicode.org/reports/tr39/#Restriction_Level_Detection; scripts are told by the names of the characters.
    """
    for label in host.split("."):
        scripts = {re.split(r"[ -]", unicodedata.name(each, "?"))[0] for each in label if each.isalpha()}
        if len(scripts) > 1 and not scripts <= _WRITTEN_TOGETHER:
            raise OutsideOrigin("The host mixes scripts, as names do that are made to look like others.")


def refuse_unsafe_characters(text: str) -> None:
    """Raise `OutsideOrigin` for characters that two readers of a URL may take differently."""
    if "\\" in text:
        raise OutsideOrigin("A URL holds no backslash. Write it as %5C if it belongs to the path or query.")
    if any(unicodedata.category(character) in _UNPRINTABLE for character in text):
        raise OutsideOrigin("A URL holds no control characters.")


def _refuse_path(path: str) -> None:
    if path.startswith("//"):
        raise OutsideOrigin("A path does not begin with `//`: that would name another host.")
    for reading in _readings(path):
        # `..;x` is `..` to servers that take `;x` for a parameter of the segment.
        if any(segment.partition(";")[0].strip() == ".." for segment in _SEPARATORS.split(reading)):
            raise OutsideOrigin("A path must not climb out of its folder with `..`.")
        if any(unicodedata.category(character) == "Cc" for character in reading):
            raise OutsideOrigin("A path holds no control characters, encoded or not.")


def _readings(path: str) -> list[str]:
    """Return the path as written, and decoded once, twice … until nothing changes."""
    readings = [path]
    for _ in range(_MAXIMUM_ENCODING_DEPTH):
        decoded = unquote(readings[-1])
        if decoded == readings[-1]:
            return readings
        readings.append(decoded)
    raise OutsideOrigin("The path is encoded too many times over.")
