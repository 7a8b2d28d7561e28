"""How single values are written: names at the platform, addresses, paths, label maps, templates.

Owns patterns and the sentence for what does not match them; which field holds what is in the kinds' modules. Rules across
fields stand there too.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from keywright.api.base import DATA_KEY_PATTERN, Cel, KeysMatch, Matches

__all__ = [
    "AdminPath",
    "AnnotationMap",
    "Audience",
    "CalendarDate",
    "CronSchedule",
    "GrantedNamespace",
    "GrantedWorkspace",
    "HttpUrl",
    "KeyLabel",
    "LabelMap",
    "LabelValue",
    "Member",
    "MountPath",
    "SecretTemplate",
    "SecretType",
    "SelectorKey",
    "SelectorLabels",
    "SelectorValue",
    "ServerName",
    "StorePath",
    "StorePrefix",
    "TemplateText",
    "TimeZoneName",
    "VaultField",
    "VaultNamespace",
    "VaultTemplate",
    "WorkspaceName",
]

_CONTROL: Final = r"\x00-\x1f\x7f-\x9f"
"""Control characters (Unicode's class Cc), for use inside a character class."""

_UNSEEN: Final = _CONTROL + "\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
"""Besides these, what turns text round, breaks a line or has no width: a list of keys at the platform would show another name. As
characters, since RE2 and Python escape them in different ways."""

_PLAIN_TEXT: Final = rf"^[^{_CONTROL}]*[^ {_CONTROL}][^{_CONTROL}]*$"
"""One line, not blank."""

WorkspaceName = Annotated[
    str, Field(max_length=255), Matches(_PLAIN_TEXT, "write the workspace's name or uuid, without control characters")
]

KeyLabel = Annotated[
    str,
    Field(max_length=220),
    Cel("!self.contains('[kw/')", "a label may not contain [kw/: keywright's own tag begins so"),
    Matches(
        rf"^[^{_UNSEEN}]*[^ {_UNSEEN}][^{_UNSEEN}]*$",
        "write a label of one line, without control characters, text that runs the other way, or only blanks",
    ),
]

_DAY_28: Final = r"(0[1-9]|1[0-9]|2[0-8])"
_LEAP_YEAR: Final = r"2([0-9](0[48]|[2468][048]|[13579][26])|[048]00)"
CalendarDate = Annotated[
    str,
    Field(max_length=64),
    Matches(
        rf"^(2[0-9]{{3}}-((0[1-9]|1[0-2])-{_DAY_28}|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)|{_LEAP_YEAR}-02-29)$",
        "write a day that exists, as year-month-day, such as 2027-01-31",
    ),
]
"""A day of the years 2000 to 2999, all in one pattern: a failing conversion in CEL would not show the sentence."""

CronSchedule = Annotated[
    str,
    Field(max_length=128),
    Matches(
        r"^[-0-9*/,]+ +[-0-9*/,]+ +[-0-9*/,LlWw]+ +[-0-9*/,A-Za-z]+ +[-0-9*/,#A-Za-z]+$",
        "write five fields (minute, hour, day, month, weekday), such as 0 3 1 * *",
    ),
]
TimeZoneName = Annotated[
    str,
    Field(max_length=64),
    Matches(
        r"^[A-Za-z][-+_A-Za-z0-9]*(/[A-Za-z][-+_A-Za-z0-9]*){0,2}$", "write an IANA time zone, such as Europe/Paris"
    ),
]

_HOST_LABEL: Final = r"[A-Za-z0-9]([-_A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_HOST: Final = rf"{_HOST_LABEL}(\.{_HOST_LABEL})*"
_PORT: Final = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"  # 1 to 65535
HttpUrl = Annotated[
    str,
    Field(max_length=2048),
    Matches(
        rf"^https?://({_HOST}|\[[0-9A-Fa-f:.]{{2,45}}\])(:{_PORT})?(/[^ ?#@\\{_CONTROL}]*)?$",
        "write an http(s) address with a host and without user, query or fragment, such as https://api.example.com",
    ),
]
ServerName = Annotated[
    str, Field(max_length=253), Matches(rf"^{_HOST}$", "write a host's name, such as vault.example.com")
]
_PATH_SEGMENT: Final = r"[-_~A-Za-z0-9][-._~A-Za-z0-9]*"
AdminPath = Annotated[
    str, Field(max_length=256), Matches(rf"^(/{_PATH_SEGMENT})+$", "write a path that begins with /, such as /v1/admin")
]
_ADDRESS: Final = rf"[^ @<>{_CONTROL}]+@[^ @<>{_CONTROL}]+"
Member = Annotated[
    str,
    Field(max_length=320),
    Matches(
        rf"^([0-9A-Fa-f]{{8}}-([0-9A-Fa-f]{{4}}-){{3}}[0-9A-Fa-f]{{12}}|{_ADDRESS})$",
        "write the member's uuid or e-mail address, such as someone@example.com",
    ),
]

_LABEL_PREFIX: Final = r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
_LABEL_KEY: Final = rf"^{_LABEL_PREFIX}[A-Za-z0-9]([-._A-Za-z0-9]{{0,61}}[A-Za-z0-9])?$"
_LABEL_VALUE: Final = r"^([A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$"
_LABEL_KEY_SENTENCE: Final = (
    "write keys as Kubernetes has them: an optional prefix and /, then at most 63 letters, digits, -, _ and ."
)
_OURS_OR_THEIRS: Final = Cel(
    r"self.all(k, !k.matches(r'^([^/]*\.)?(kubernetes\.io|keywright\.dev)/'))",
    "keys under kubernetes.io/ and keywright.dev/ are reserved; write a key under a domain of your own",
)
LabelValue = Annotated[
    str, Field(max_length=63), Matches(_LABEL_VALUE, "write at most 63 letters, digits, -, _ and ., or nothing")
]
LabelMap = Annotated[
    dict[str, LabelValue], Field(max_length=64), _OURS_OR_THEIRS, KeysMatch(_LABEL_KEY, _LABEL_KEY_SENTENCE)
]
# Lists within the list of grants: CEL rules there would exceed the apiserver's cost budget, and a plain pattern has none.
GrantedWorkspace = Annotated[str, Field(min_length=1, max_length=255, pattern=_PLAIN_TEXT)]
GrantedNamespace = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
SelectorKey = Annotated[str, Field(min_length=1, max_length=317, pattern=_LABEL_KEY)]
SelectorValue = Annotated[str, Field(max_length=63, pattern=_LABEL_VALUE)]
SelectorLabels = Annotated[dict[str, SelectorValue], Field(max_length=16), KeysMatch(_LABEL_KEY, _LABEL_KEY_SENTENCE)]

AnnotationMap = Annotated[
    dict[str, Annotated[str, Field(max_length=4096)]],
    Field(max_length=64),
    _OURS_OR_THEIRS,
    KeysMatch(_LABEL_KEY, _LABEL_KEY_SENTENCE),
]
"""64 of 4 KiB at most: all annotations of an object may take 256 KiB."""

SecretType = Annotated[
    str,
    Field(max_length=253),
    Cel(
        r"!self.matches(r'^([^/]*\.)?kubernetes\.io/|^helm\.sh/')",
        "types under kubernetes.io/ and helm.sh/ demand data of their own; write Opaque or a type of your own",
    ),
    Matches(rf"^[^{_CONTROL} ]+$", "write the Secret's type in one word, such as Opaque"),
]

_HAS_KEY_RULE: Final = r"self.exists(k, self[k].matches(r'(^|[^$])(\$\$)*\$\{api_key\}'))"
_HAS_KEY_SENTENCE: Final = (
    "at least one value of template must contain ${api_key}; where Flux's postBuild substitution empties it, write $${api_key} or "
    "switch substitution off for this object"
)
_FIELD_NAME: Final = rf"^[^{_CONTROL}]{{1,253}}$"
_FIELD_SENTENCE: Final = "write a field's name of 1 to 253 characters without control characters, such as api_key"
_NO_RECORD_FIELDS: Final = Cel(
    "self.all(k, !k.startsWith('keywright.dev/'))", "fields under keywright.dev/ are reserved; write another name"
)
TemplateText = Annotated[
    str,
    Field(max_length=16384),
    Matches(
        r"^([^$]|\$\$|\$\{(api_key|key_id|expires_at|workspace)\})*$",
        "after a dollar only {api_key}, {key_id}, {expires_at} or {workspace} may stand; write $$ for a dollar",
    ),
]


SecretTemplate = Annotated[
    dict[str, TemplateText],
    Field(max_length=64),
    Cel(_HAS_KEY_RULE, _HAS_KEY_SENTENCE),
    KeysMatch(DATA_KEY_PATTERN, "write data keys of letters, digits, -, _ and ., such as config.ini"),
]
VaultTemplate = Annotated[
    dict[str, TemplateText],
    Field(max_length=64),
    Cel(_HAS_KEY_RULE, _HAS_KEY_SENTENCE),
    KeysMatch(_FIELD_NAME, _FIELD_SENTENCE),
    _NO_RECORD_FIELDS,
]
VaultField = Annotated[
    str,
    Field(max_length=253),
    Matches(_FIELD_NAME, _FIELD_SENTENCE),
    Cel("!self.startsWith('keywright.dev/')", "fields under keywright.dev/ are reserved; write another name"),
]

_NO_CLIMBING: Final = Cel(
    r"!self.matches(r'(^|/)\.{1,2}(/|$)')", "the path may have no segment . or ..: it stays below the store's prefix"
)
StorePath = Annotated[
    str,
    Field(max_length=512),
    _NO_CLIMBING,
    Matches(
        rf"^[^/{_CONTROL}]+(/[^/{_CONTROL}]+)*$",
        "write a path without control characters, empty segments and / at either end, such as search/mistral",
    ),
]
StorePrefix = Annotated[
    str,
    Field(max_length=256),
    _NO_CLIMBING,
    Matches(rf"^([^/{_CONTROL}]+/)*$", "write a path that ends with / and does not begin with it, such as team-a/"),
]
_MOUNT: Final = rf"^{_PATH_SEGMENT}(/{_PATH_SEGMENT})*$"
MountPath = Annotated[
    str,
    Field(max_length=256),
    Matches(_MOUNT, "write the mount's path without / at either end, such as secret"),
]
VaultNamespace = Annotated[
    str,
    Field(max_length=256),
    Matches(_MOUNT, "write Vault's own namespace without / at either end, such as team-a"),
]
Audience = Annotated[
    str, Field(max_length=255), Matches(rf"^[^ {_CONTROL}]+$", "write an audience in one word, such as vault")
]
