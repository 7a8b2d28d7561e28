"""What all kinds share: the field conventions, how a rule is stated, references, conditions.

Owns how a Python field becomes a YAML field (camelCase) and nothing of any one kind. Neighbours: `syntax.py` (how single
values are written), the kinds' modules, and `crd.py`, which renders them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

__all__ = [
    "DATA_KEY_PATTERN",
    "GROUP",
    "ONE_CA_BUNDLE",
    "RULES",
    "VERSION",
    "Cel",
    "Condition",
    "Conditions",
    "ConfigMapKeyRef",
    "DataKey",
    "KeysMatch",
    "Kind",
    "Matches",
    "ObjectName",
    "SecretKeyRef",
    "Timestamp",
    "rules",
    "scope_rules",
]

GROUP: Final = "keywright.dev"
VERSION: Final = "v1alpha1"
RULES: Final = "x-kubernetes-validations"
"""Where a schema keeps its CEL rules."""


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """A class's `json_schema_extra` for CEL rules: each pair is (expression, the sentence a user reads when it is false)."""
    return {RULES: [{"rule": rule, "message": message} for rule, message in pairs]}


def scope_rules(kind: str, refs: tuple[str, ...], *, cluster: bool) -> tuple[tuple[str, str], ...]:
    """Rules for a spec whose references, given as paths below it, need a namespace (cluster kinds) or must have none."""
    return tuple(_scope_rule(kind, ref, cluster=cluster) for ref in refs)


def _scope_rule(kind: str, ref: str, *, cluster: bool) -> tuple[str, str]:
    parts = ref.split(".")
    absent = " || ".join(f"!has(self.{'.'.join(parts[: n + 1])})" for n in range(len(parts)))
    # CEL reserves the word: a field of that name is written __namespace__.
    there = f"has(self.{ref}.__namespace__)"
    if cluster:
        return f"{absent} || {there}", f"write {ref}.namespace: a {kind} has no namespace of its own"
    return f"{absent} || !{there}", f"remove {ref}.namespace: a {kind} reads its own namespace only"


@dataclass(frozen=True, slots=True)
class Cel:
    """A rule on one value that only the apiserver checks, with the sentence a user reads when it is false."""

    rule: str
    message: str

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The rule, beside those that stand there."""
        return _with_rule(handler(schema), self.rule, self.message)


@dataclass(frozen=True, slots=True)
class Matches:
    """A text that must match a pattern, refused by the apiserver and by Python with the same sentence.

    It is rendered as a CEL rule, since the apiserver's own words for a schema's `pattern` show the pattern only. The pattern
    is anchored and keeps to what RE2 and Python's re read alike: no look-around, no classes by letter (Unicode in Python only).
    """

    pattern: str
    message: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """The check, after the type's own."""
        # fullmatch: Python's $ would let a last newline pass, RE2's does not.
        matches = re.compile(self.pattern).fullmatch

        def check(value: Any) -> Any:
            if not self._holds(matches, value):
                raise PydanticCustomError("syntax", "{sentence}", {"sentence": self.message})
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The rule, beside those that stand there."""
        return _with_rule(handler(schema), self._rule(), self.message)

    def _rule(self) -> str:
        return f"self.matches({_cel(self.pattern)})"

    def _holds(self, matches: Callable[[str], re.Match[str] | None], value: Any) -> bool:
        return matches(value) is not None


@dataclass(frozen=True, slots=True)
class KeysMatch(Matches):
    """As Matches, for every key of a map."""

    def _rule(self) -> str:
        return f"self.all(k, k.matches({_cel(self.pattern)}))"

    def _holds(self, matches: Callable[[str], re.Match[str] | None], value: Any) -> bool:
        return all(map(matches, value))


def _with_rule(schema: JsonSchemaValue, rule: str, message: str) -> JsonSchemaValue:
    return {**schema, RULES: [*schema.get(RULES, []), {"rule": rule, "message": message}]}


def _cel(pattern: str) -> str:
    """A raw string of CEL."""
    assert "'" not in pattern, "the raw string would end there"
    return f"r'{pattern}'"


DATA_KEY_PATTERN: Final = r"^\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]{0,251}$"
"""As Secrets and ConfigMaps have it: neither . nor .., nor anything that begins with two dots."""

ObjectName = Annotated[
    str,
    Field(max_length=253),
    Matches(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "write an object's name: lower-case letters, digits, - and ., beginning and ending with a letter or digit",
    ),
]
DataKey = Annotated[
    str,
    Field(max_length=253),
    Matches(DATA_KEY_PATTERN, "write a data key of letters, digits, -, _ and ., such as api-key"),
]


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        msg = "a time needs its zone"
        raise ValueError(msg)
    try:
        return value.astimezone(UTC)
    except OverflowError:  # the first and last hours that the calendar has, seen from elsewhere
        msg = "a time must lie between the years 1 and 9999 in UTC"
        raise ValueError(msg) from None


def _in_utc(value: datetime) -> str:
    # isoformat: strftime's %Y does not fill up years below 1000, and reading them back fails.
    return value.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


Timestamp = Annotated[
    datetime,
    AfterValidator(_aware),
    PlainSerializer(_in_utc, return_type=str, when_used="json"),
]
"""RFC 3339 in UTC, whole seconds when written, as Kubernetes writes its own times."""


class Kind(BaseModel):
    """Base of all API structures: camelCase outside, snake_case inside; what a newer version wrote is passed over."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the API: JSON types, camelCase, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class SecretKeyRef(Kind):
    """One data key of a Secret."""

    name: ObjectName = Field(description="The Secret's name.")
    namespace: ObjectName | None = Field(
        default=None,
        description="The Secret's namespace. Required in cluster-scoped kinds, refused in namespaced ones.",
    )
    key: DataKey = Field(description="The data key that holds the value.")


class ConfigMapKeyRef(Kind):
    """One data key of a ConfigMap."""

    name: ObjectName = Field(description="The ConfigMap's name.")
    namespace: ObjectName | None = Field(
        default=None,
        description="The ConfigMap's namespace. Required in cluster-scoped kinds, refused in namespaced ones.",
    )
    key: DataKey = Field(description="The data key that holds the value.")


class Condition(Kind):
    """A condition as Kubernetes' API conventions define it."""

    type: str = Field(description="Ready, Reconciling or Stalled.", max_length=316)
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: str = Field(description="A CamelCase word; the documentation lists them all.", max_length=1024)
    message: str = Field(
        description="A sentence: what is so and, where something is wrong, what to change.", max_length=32768
    )
    last_transition_time: Timestamp = Field(description="When the status last changed.")
    observed_generation: int | None = Field(default=None, description="The metadata.generation this was computed for.")

    def since(self, before: Condition | None) -> Condition:
        """The same, with the time of the one that stands, where its status did not change."""
        if before is None or before.status != self.status:
            return self
        return self.model_copy(update={"last_transition_time": before.last_transition_time})


Conditions = Annotated[
    list[Condition],
    Field(max_length=8, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]
"""One condition of each type: a writer of one by server-side apply leaves the others alone."""

ONE_CA_BUNDLE: Final = (
    "!has(self.caBundleSecretRef) || !has(self.caBundleConfigMapRef)",
    "keep one of caBundleSecretRef and caBundleConfigMapRef",
)
"""A rule of every kind that reaches a server by TLS."""
