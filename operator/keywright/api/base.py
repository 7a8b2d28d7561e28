"""What all kinds share: the field conventions, references, conditions.

Owns how a Python field becomes a YAML field (camelCase) and nothing of any one kind. Neighbours: the kinds' modules and
`crd.py`, which renders them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

__all__ = ["GROUP", "VERSION", "Condition", "ConfigMapKeyRef", "Kind", "Rule", "SecretKeyRef", "Timestamp", "rules"]

GROUP: Final = "keywright.dev"
VERSION: Final = "v1alpha1"

_NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=_NAME_PATTERN)]
DataKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        msg = "a time needs its zone"
        raise ValueError(msg)
    return value.astimezone(UTC)


Timestamp = Annotated[
    datetime,
    AfterValidator(_aware),
    PlainSerializer(lambda t: t.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), return_type=str, when_used="json"),
]
"""RFC 3339 in UTC, whole seconds when written, as Kubernetes writes its own times."""

Rule = dict[str, str]


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """`json_schema_extra` for CEL rules: each pair is (expression, the sentence a user reads when it is false)."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


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
