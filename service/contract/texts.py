"""Text files of other people: UTF-8, with or without a byte order mark; any other encoding is named and not guessed."""

import codecs

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TextEncodingError(ValueError):
    """A text is not UTF-8; the message names it, its probable encoding and the remedy in one line."""


def decode_text(content: bytes, *, name: str) -> str:
    """Decode UTF-8.

    Raises:
        TextEncodingError: it is in another encoding.
    """
    if not _is_utf16(content):
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
    encoding = _name_encoding(content)
    raise TextEncodingError(
        f"{name} is not UTF-8 text but looks like {encoding}; save it as UTF-8 ('CSV UTF-8' in Excel), or convert it: "
        f"iconv -f {encoding} -t UTF-8"
    )


def _is_utf16(content: bytes) -> bool:
    return content.startswith(_UTF16_MARKS) or b"\0" in content[:64]


def _name_encoding(content: bytes) -> str:
    """Name the encoding that tables of Windows are most probably in: Chinese text is GBK there, European CP1252."""
    if _is_utf16(content):
        return "UTF-16"
    try:
        content.decode("gbk")
    except UnicodeDecodeError:
        return "CP1252"
    return "GBK"
