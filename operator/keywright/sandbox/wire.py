"""The wire format, as the reference's OpenAPI document has it: requests strictly read, answers as they are sent.

Written for the sandbox alone; the adapter has its own reading. Times and dates in answers are text already: the store
keeps them as they are sent. A field's meaning is in the reference.
"""
# ruff: noqa: D101 - the names are the reference's, and so are their meanings

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

__all__ = [
    "UUID",
    "APIKeyActions",
    "APIKeyExtendedOUT",
    "APIKeyOUT",
    "APIKeysExtendedOUT",
    "ActionAvailable",
    "AdminCreateAPIKeyIN",
    "AdminUserOUT",
    "AdminWorkspaceIn",
    "AuditLogOut",
    "BaseModelCard",
    "BasicModelUsageDataJSON",
    "DeleteAPIKeyOUT",
    "FineTuningDataJSON",
    "LibrariesAPIUsageDataJSON",
    "ListWorkspacesResponse",
    "MemberWorkspaceInfo",
    "ModelCapabilities",
    "ModelList",
    "OrganizationAdminUsersOUT",
    "OrganizationMemberOUT",
    "PolicyIN",
    "RateLimitIN",
    "RotateUnavailable",
    "UpdateWorkspaceIN",
    "UsageOUTJSON",
    "UserWorkspace",
    "VibeCodeUsageDataJSON",
    "WorkspaceEnrichedOUT",
    "WorkspaceOUT",
    "WorkspacesOut",
]

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_LONGEST_POLICY = 36_500
"""Days; a century, so that no date leaves the calendar."""


def _date(value: object) -> object:
    """Only YYYY-MM-DD: pydantic alone would take timestamps too."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("a date is written YYYY-MM-DD")
    return date.fromisoformat(value)


UUID = Annotated[
    str,
    Field(pattern=r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\z"),
    AfterValidator(str.lower),
]
_Date = Annotated[date, BeforeValidator(_date)]
_Name = Annotated[str, Field(max_length=255)]
_Icon = Annotated[str, Field(max_length=2)]
_Days = Annotated[int, Field(ge=1, le=_LONGEST_POLICY)]


class _In(BaseModel):
    """A request's body; unknown fields are ignored, as at the platform."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


class AdminCreateAPIKeyIN(_In):
    name: _Name | None = None
    expiration: _Date | None = None
    workspace_uuid: UUID
    user_id: UUID


class AdminWorkspaceIn(_In):
    name: _Name
    description: _Name = ""
    icon: _Icon = ""
    add_all_org_members: bool = False
    admin_user_id: UUID


class UpdateWorkspaceIN(_In):
    name: _Name | None = None
    description: _Name | None = None
    icon: _Icon | None = None


class PolicyIN(_In):
    """/sandbox only: the longest validity in days; null: no limit."""

    max_validity_days: _Days | None


class RateLimitIN(_In):
    """/sandbox only: requests per second; null: no limit."""

    per_second: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None


class _Out(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True)


class ActionAvailable(_Out):
    status: Literal["available"] = "available"


class RotateUnavailable(_Out):
    """Of the reference's reasons the one that can occur here."""

    status: Literal["unavailable"] = "unavailable"
    reason: Literal["key_expired"] = "key_expired"


class APIKeyActions(_Out):
    rotate: ActionAvailable | RotateUnavailable
    delete: ActionAvailable = ActionAvailable()


class APIKeyOUT(_Out):
    key_id: str
    key: str | None
    name: str | None
    hidden_key: str
    created_at: str
    expiration_date: str | None
    actions: APIKeyActions


class APIKeyExtendedOUT(APIKeyOUT):
    workspace_id: str
    workspace_name: str
    created_by: str
    product: Literal["API"] = "API"
    last_used: str | None
    can_delete: bool = True


class APIKeysExtendedOUT(_Out):
    keys: list[APIKeyExtendedOUT]


class DeleteAPIKeyOUT(_Out):
    detail: str = "API key deleted successfully"


class WorkspaceOUT(_Out):
    uuid: str
    name: str
    description: str
    icon: str
    members_count: int
    spend_limit: None = None
    is_default: bool


class WorkspaceEnrichedOUT(WorkspaceOUT):
    raw_roles: list[str] = ["A"]
    raw_role: str = "A"


class WorkspacesOut(_Out):
    total: int
    items: list[WorkspaceOUT]
    object: Literal["list"] = "list"
    page: int
    page_size: int


class MemberWorkspaceInfo(_Out):
    uuid: str
    name: str
    is_default: bool
    raw_roles: list[str]
    raw_role: str


class OrganizationMemberOUT(_Out):
    """AdminOrganizationMemberOUT."""

    uuid: str
    oid_id: None = None
    name: str
    email: str
    is_sso_outsider: bool = False
    workspaces: list[MemberWorkspaceInfo]
    subscriptions: list[None] = []
    raw_roles: list[str]
    raw_role: str
    subscription_types: list[None] = []
    created_at: str


class AdminUserOUT(OrganizationMemberOUT):
    first_name: str
    last_name: str


class OrganizationAdminUsersOUT(_Out):
    members: list[OrganizationMemberOUT]
    invites: list[None] = []
    total: int
    page: int
    page_size: int


class BasicModelUsageDataJSON(_Out):
    models: dict[str, dict[str, list[dict[str, Any]]]] = {}


_NOTHING = BasicModelUsageDataJSON()


class LibrariesAPIUsageDataJSON(_Out):
    pages: BasicModelUsageDataJSON = _NOTHING
    tokens: BasicModelUsageDataJSON = _NOTHING
    audio_seconds: BasicModelUsageDataJSON = _NOTHING


class FineTuningDataJSON(_Out):
    training: dict[str, dict[str, list[dict[str, Any]]]] = {}
    storage: dict[str, int] = {}


class VibeCodeUsageDataJSON(_Out):
    completion: BasicModelUsageDataJSON = _NOTHING
    ocr: BasicModelUsageDataJSON = _NOTHING
    connectors: BasicModelUsageDataJSON = _NOTHING
    audio: BasicModelUsageDataJSON = _NOTHING
    audio_characters: BasicModelUsageDataJSON = _NOTHING


class UsageOUTJSON(_Out):
    completion: BasicModelUsageDataJSON
    ocr: BasicModelUsageDataJSON = _NOTHING
    connectors: BasicModelUsageDataJSON = _NOTHING
    libraries_api: LibrariesAPIUsageDataJSON = LibrariesAPIUsageDataJSON()
    fine_tuning: FineTuningDataJSON = FineTuningDataJSON()
    audio: BasicModelUsageDataJSON = _NOTHING
    audio_characters: BasicModelUsageDataJSON = _NOTHING
    vibe_usage: int = 0
    vibe_code: VibeCodeUsageDataJSON = VibeCodeUsageDataJSON()
    chat: BasicModelUsageDataJSON = _NOTHING
    date: str
    previous_month: str | None
    next_month: str | None
    start_date: str
    end_date: str
    currency: str = "EUR"
    currency_symbol: str = "€"
    prices: list[None] = []


class AuditLogOut(_Out):
    created_at: str
    actor_type: str
    actor_metadata: dict[str, str]
    event_type: str
    event_metadata: dict[str, str]
    target_type: str
    target_metadata: dict[str, str]
    log_id: int
    organization_uuid: str
    workspace_uuid: str


class UserWorkspace(_Out):
    id: str
    name: str
    organization_id: str


class ListWorkspacesResponse(_Out):
    workspaces: list[UserWorkspace]


class ModelCapabilities(_Out):
    completion_chat: bool = False
    function_calling: bool = False
    reasoning: bool = False
    completion_fim: bool = False
    fine_tuning: bool = False
    vision: bool = False
    ocr: bool = False
    classification: bool = False
    moderation: bool = False
    audio: bool = False
    audio_transcription: bool = False
    audio_transcription_realtime: bool = False
    audio_speech: bool = False
    unified_resources: bool = False


class BaseModelCard(_Out):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "mistralai"
    capabilities: ModelCapabilities
    name: str
    description: str
    max_context_length: int
    aliases: list[str] = []
    deprecation: None = None
    deprecation_replacement_model: None = None
    default_model_temperature: float
    internal: bool = False
    type: Literal["base"] = "base"


class ModelList(_Out):
    object: Literal["list"] = "list"
    data: list[BaseModelCard]
