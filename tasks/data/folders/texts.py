"""Text files as people's systems write them."""

import codecs
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TypeVar

import msgspec

from tasks.data.findings import DataError, Finding

T = TypeVar("T")

_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_BEGINNING = 200  # bytes of a file, in which it says its encoding
_BEYOND_ASCII, _FREQUENT = re.compile(rb"[\x80-\xff]+"), re.compile(rb"(?:[\xb0-\xd7][\xa1-\xfe])+")
_TWO = 4  # bytes of two characters
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_lines(file: Path) -> list[str]:
    """The lines of a text file without blanks around them, those that are empty too.

    Raises:
        DataError: it cannot be read.
    """
    return [line.strip() for line in read_text(file).splitlines()]


def read_xml(file: Path) -> ElementTree.Element:
    """The root of an XML file, in whatever encoding it is or says that it is.

    Raises:
        ElementTree.ParseError, OSError, ValueError: it cannot be read.
    """
    try:
        return ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, LookupError, ValueError):
        content = file.read_bytes()
        declared = _DECLARED.search(content[:_BEGINNING])
        try:  # the parser knows few encodings, and not those of several bytes
            text = content.decode(declared.group(1).decode()) if declared else decoded(content)
        except (LookupError, UnicodeDecodeError):
            text = decoded(content)
        # As text it has no encoding to declare any more.
        return ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))


def decode_json(decoder: "msgspec.json.Decoder[T]", file: Path) -> T:
    """The content of a JSON file, in whatever encoding.

    Raises:
        msgspec.DecodeError, OSError: it cannot be read, or is not of the decoder's type.
    """
    content = file.read_bytes()
    try:
        return decoder.decode(content)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        return decoder.decode(decoded(content).encode())


def read_text(file: Path) -> str:
    """The text of a file: UTF-8, UTF-16 with its mark, else what older systems wrote.

    Raises:
        DataError: it cannot be read.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        line = f"{file}: cannot be read: {error.strerror}"
        raise DataError(Finding("annotation-unreadable", line, file)) from None
    try:
        return decoded(content)
    except UnicodeDecodeError as error:
        line = f"{file}: cannot be read: {error}; save it as UTF-8"
        raise DataError(Finding("annotation-unreadable", line, file)) from None


def decoded(content: bytes) -> str:
    """Raises:
    UnicodeDecodeError: it is no text.
    """
    return content.decode(encoding_of(content))


def encoding_of(content: bytes) -> str:
    """The encoding of a text by its mark, else the first in which it can be read."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding
    for encoding in ("utf-8", *(["gb2312"] if _is_chinese(content) else []), "cp1252"):
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def _is_chinese(content: bytes) -> bool:
    """By GB2312's frequent characters, pairs of bytes of which some stand together; those of Western languages beyond
    ASCII stand alone."""
    found = _BEYOND_ASCII.findall(content)
    return all(_FREQUENT.fullmatch(run) for run in found) and any(len(run) >= _TWO for run in found)


def without_mark(content: bytes) -> bytes:
    """The beginning of a text in ASCII without a mark and blanks before it."""
    return content.removeprefix(codecs.BOM_UTF8).lstrip()
