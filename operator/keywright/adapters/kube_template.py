"""The texts of a target: the plaintext rendered into templates, and recovered from what stands there.

Owns the template language: ${api_key}, ${key_id}, ${expires_at}, ${workspace}, and $$ for a dollar. Must not keep a
plaintext, nor put one into an error. The only module of both sinks that reveals one. Pure.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from keywright.errors import Rejected
from keywright.keys import SecretValue, end_of_day

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from keywright.keys import KeyRecord

__all__ = ["VARIABLES", "Texts"]

VARIABLES: Final = ("api_key", "key_id", "expires_at", "workspace")

_LIMIT: Final = 1024 * 1024
"""Bytes of all data of a Secret, by Kubernetes' own rule. Counted here before a text is put together: a template of a few
KiB can stand for gigabytes, and whoever may edit a Secret chooses what its annotations say."""

_LONGEST: Final = 1024
"""Characters of a plaintext; the issuer's adapter takes half of that."""

_TOKEN: Final = re.compile(r"\$\$|\$\{([^{}]*)\}")


class Texts:
    """The texts of one Secret, or path in Vault, with everything filled in but the plaintext.

    Each is kept as the pieces between its places for the plaintext; a text without such a place is one piece.
    """

    __slots__ = ("_pieces",)

    def __init__(self, key: str, template: Mapping[str, str] | None, record: KeyRecord | None) -> None:
        """Raises Rejected(InvalidSpec) for a variable that does not exist, or needs a record where none is given.

        Raises Rejected(TargetRefused) where a text alone would be larger than a Secret.
        """
        values = _values(record)
        texts = template or {key: "${api_key}"}
        self._pieces = {name: _pieces(name, text, values) for name, text in texts.items()}

    @property
    def keys(self) -> tuple[str, ...]:
        """The data keys."""
        return tuple(self._pieces)

    def render(self, plaintext: SecretValue) -> dict[str, bytes]:
        """The data, to be encoded and sent at once; Rejected(TargetRefused) where a Secret cannot hold it."""
        value = plaintext.reveal()
        if sum(_length(pieces, value) for pieces in self._pieces.values()) > _LIMIT:
            raise _too_large("the template")
        return {name: value.join(pieces).encode() for name, pieces in self._pieces.items()}

    def recover(self, data: Mapping[str, bytes], digest: str | None) -> SecretValue | None:
        """The plaintext that stands in `data`: the one with this digest, else the first that fits its text."""
        found = None
        for candidate in self._candidates(data):
            if hashlib.sha256(candidate.encode()).hexdigest() == digest:
                return SecretValue(candidate)
            found = found or candidate
        return SecretValue(found) if found else None

    def stand_in(self, data: Mapping[str, bytes], plaintext: SecretValue) -> bool:
        """Whether `data` holds exactly these texts with this plaintext; other data keys do not count."""
        value = plaintext.reveal()
        for name, pieces in self._pieces.items():
            text = _text(data.get(name))
            if text is None or len(text) != _length(pieces, value) or text != value.join(pieces):
                return False
        return True

    def _candidates(self, data: Mapping[str, bytes]) -> Iterator[str]:
        """Every place takes the same plaintext, so a text's length says how long that is: nothing is guessed."""
        for name, pieces in self._pieces.items():
            places = len(pieces) - 1
            text = _text(data.get(name))
            if not places or text is None:
                continue
            length, rest = divmod(len(text) - sum(map(len, pieces)), places)
            if not 0 < length <= _LONGEST or rest:
                continue
            start = len(pieces[0])
            candidate = text[start : start + length]
            if candidate.join(pieces) == text:
                yield candidate


def _length(pieces: Sequence[str], value: str) -> int:
    return sum(map(len, pieces)) + (len(pieces) - 1) * len(value)


def _too_large(what: str) -> Rejected:
    return Rejected(
        f"the target's template: {what} becomes larger than the 1 MiB that a target holds: shorten it",
        reason="TargetRefused",
    )


def _text(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None


def _values(record: KeyRecord | None) -> dict[str, str]:
    if record is None:
        return {}
    return {
        "key_id": record.key_id,
        "expires_at": end_of_day(record.expires_on).strftime("%Y-%m-%dT%H:%M:%SZ") if record.expires_on else "",
        "workspace": record.workspace_name or record.workspace,
    }


def _pieces(name: str, text: str, values: Mapping[str, str]) -> list[str]:
    pieces = [""]
    end = size = 0
    for token in _TOKEN.finditer(text):
        pieces[-1] += text[end : token.start()]
        end = token.end()
        variable = token[1]
        if variable is None:
            pieces[-1] += "$"
        elif variable == "api_key":
            pieces.append("")
        elif variable in values:
            size += len(values[variable])
            if size > _LIMIT:
                raise _too_large(name)
            pieces[-1] += values[variable]
        else:
            known = ", ".join(f"${{{v}}}" for v in VARIABLES)
            raise Rejected(
                f"the target's template: {name} uses a variable that does not exist; there are {known}, and $$ is a dollar",
                reason="InvalidSpec",
            )
    pieces[-1] += text[end:]
    return pieces
