"""Every reason keywright gives, in one place: the same word goes to condition, event, log line and metric.

Names neither when a reason applies (planning/rules.py) nor how it is shown.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["EXPLANATIONS", "Reason"]


class Reason(StrEnum):
    """CamelCase, stable: alerts and scripts match on them."""

    # The key is well.
    ISSUED = "Issued"
    ADOPTED = "Adopted"
    SUSPENDED = "Suspended"
    NEVER_ROTATES = "NeverRotates"

    # Why a key is issued.
    NOT_ISSUED = "NotIssued"
    TARGET_MISSING = "TargetMissing"
    TARGET_DRIFTED = "TargetDrifted"
    KEY_GONE = "KeyGone"
    SPEC_CHANGED = "SpecChanged"
    TRIGGERED = "Triggered"
    COMPROMISED = "Compromised"
    SCHEDULED = "Scheduled"
    RENEWAL_DUE = "RenewalDue"
    EXPIRED = "Expired"

    # Work under way.
    ISSUING = "Issuing"
    RECOVERING = "Recovering"
    DELETING = "Deleting"
    WAITING_FOR_LATE_KEYS = "WaitingForLateKeys"
    WAITING = "Waiting"

    # Refused before a key was asked for.
    INVALID_SPEC = "InvalidSpec"
    ISSUER_NOT_FOUND = "IssuerNotFound"
    ISSUER_DELETING = "IssuerDeleting"
    ISSUER_INVALID = "IssuerInvalid"
    ISSUER_REFUSED = "IssuerRefused"
    ISSUER_UNAVAILABLE = "IssuerUnavailable"
    ISSUER_RATE_LIMITED = "IssuerRateLimited"
    ISSUER_MALFORMED = "IssuerMalformed"
    ISSUER_CREDENTIALS_GONE = "IssuerCredentialsGone"
    ADMIN_KEY_MISSING = "AdminKeyMissing"
    ADMIN_KEY_REFUSED = "AdminKeyRefused"
    CLUSTER_SCOPE_OFF = "ClusterScopeOff"
    NOT_GRANTED = "NotGranted"
    GRANT_LOST = "GrantLost"
    WORKSPACE_NOT_FOUND = "WorkspaceNotFound"
    WORKSPACE_AMBIGUOUS = "WorkspaceAmbiguous"
    USER_NOT_FOUND = "UserNotFound"
    EXPIRY_IN_PAST = "ExpiryInPast"
    TARGET_FOREIGN = "TargetForeign"
    TARGET_CONFLICT = "TargetConflict"
    TARGET_REFUSED = "TargetRefused"
    STORE_NOT_FOUND = "StoreNotFound"
    STORE_NOT_GRANTED = "StoreNotGranted"
    STORE_INVALID = "StoreInvalid"
    STORE_REFUSED = "StoreRefused"
    STORE_UNAVAILABLE = "StoreUnavailable"
    SCHEDULE_TOO_DENSE = "ScheduleTooDense"
    TOO_MANY_KEYS = "TooManyKeys"

    # Something failed after a key was asked for.
    ISSUE_FAILED = "IssueFailed"
    DELIVERY_FAILED = "DeliveryFailed"
    KEY_CHECK_FAILED = "KeyCheckFailed"
    ATTEMPT_LOST = "AttemptLost"
    RENEWAL_FAILING = "RenewalFailing"
    REVOCATION_FAILED = "RevocationFailed"

    # Told in events.
    REVOKED = "Revoked"
    RETAINED = "Retained"
    TARGET_CLEANED = "TargetCleaned"
    TARGET_REWRITTEN = "TargetRewritten"
    HAND_MADE_REPLACED = "HandMadeReplaced"
    LATE_KEY_REVOKED = "LateKeyRevoked"
    ABANDONED = "Abandoned"
    EXPIRY_CLAMPED = "ExpiryClamped"
    OVERLAP_FULL = "OverlapFull"
    RESTARTED = "Restarted"
    RESTART_FAILED = "RestartFailed"
    OLD_KEY_IN_USE = "OldKeyInUse"
    STRAY_KEY = "StrayKey"

    # KeyIssuer, ClusterKeyIssuer.
    ADMIN_KEY_WORKS = "AdminKeyWorks"
    KEYS_VANISHED = "KeysVanished"

    # VaultStore, ClusterVaultStore.
    STORE_WORKS = "StoreWorks"

    @classmethod
    def of(cls, word: str, default: Reason) -> Reason:
        """The reason of this name, or `default` for a word that is none of ours."""
        return cls._value2member_map_.get(word, default)  # type: ignore[return-value]


EXPLANATIONS: dict[Reason, str] = {
    Reason.ISSUED: "The key was issued and stands in its target.",
    Reason.ADOPTED: "A key that was already delivered, and still lives, was taken over; none was issued.",
    Reason.SUSPENDED: "spec.suspend is true: nothing is issued, renewed or repaired; deletion still revokes.",
    Reason.NEVER_ROTATES: "Neither expiry nor schedule is set; the platform advises to set an expiry.",
    Reason.NOT_ISSUED: "No key has been delivered yet.",
    Reason.TARGET_MISSING: "The target is gone, and the plaintext with it.",
    Reason.TARGET_DRIFTED: "Somebody changed what keywright had delivered.",
    Reason.KEY_GONE: "The issuer no longer lists the key, seen twice.",
    Reason.SPEC_CHANGED: "Workspace, issuer, label, expiry or target changed.",
    Reason.TRIGGERED: "The annotation keywright.dev/rotate got a new value.",
    Reason.COMPROMISED: "The annotation keywright.dev/compromised got a new value: older keys die at once.",
    Reason.SCHEDULED: "rotation.schedule came round.",
    Reason.RENEWAL_DUE: "The renewal time has come.",
    Reason.EXPIRED: "The key's last day is over.",
    Reason.ISSUING: "A key is being issued.",
    Reason.RECOVERING: "An attempt was interrupted; what became of it is being found out.",
    Reason.DELETING: "The ApiKey is being deleted: its keys are revoked first.",
    Reason.WAITING_FOR_LATE_KEYS: "Deletion waits until no interrupted request can still make a key.",
    Reason.WAITING: "Nothing to do until the time given in status.next.",
    Reason.INVALID_SPEC: "The spec cannot be understood; the message says what to write.",
    Reason.ISSUER_NOT_FOUND: "spec.issuerRef names no issuer.",
    Reason.ISSUER_DELETING: "The issuer is being deleted: it makes no keys, and goes once no ApiKey uses it any more.",
    Reason.ISSUER_INVALID: "The issuer's own spec must change (URL, references).",
    Reason.ISSUER_REFUSED: "The issuer understood the request and refused it.",
    Reason.ISSUER_UNAVAILABLE: "The issuer does not answer; it is tried again.",
    Reason.ISSUER_RATE_LIMITED: "The issuer asked for a pause.",
    Reason.ISSUER_MALFORMED: "The issuer's answer is not what its documentation says.",
    Reason.ISSUER_CREDENTIALS_GONE: "A key cannot be revoked: its issuer, or the admin key, is gone; the message says what mends it.",
    Reason.ADMIN_KEY_MISSING: "The Secret or data key with the admin key is not there.",
    Reason.ADMIN_KEY_REFUSED: "The issuer refused the admin key.",
    Reason.CLUSTER_SCOPE_OFF: "The operator runs for single namespaces and serves no cluster kinds.",
    Reason.NOT_GRANTED: "No grant of the issuer allows this namespace this request.",
    Reason.GRANT_LOST: "The grant was taken away; with onGrantLost: Revoke the key ends 10 minutes after this was said.",
    Reason.WORKSPACE_NOT_FOUND: "The platform has no such workspace.",
    Reason.WORKSPACE_AMBIGUOUS: "Several workspaces carry this name; use the uuid.",
    Reason.USER_NOT_FOUND: "The issuer's user is no member of the organization.",
    Reason.EXPIRY_IN_PAST: "expiry.date is over.",
    Reason.TARGET_FOREIGN: "The target exists and was not made by keywright for this ApiKey.",
    Reason.TARGET_CONFLICT: "Another ApiKey has this target.",
    Reason.TARGET_REFUSED: "The target would not accept the write.",
    Reason.STORE_NOT_FOUND: "spec.target.vault.storeRef names no store.",
    Reason.STORE_NOT_GRANTED: "The ClusterVaultStore's namespaces do not select this one.",
    Reason.STORE_INVALID: "The store's own spec must change, or what it names: address, mount, references.",
    Reason.STORE_REFUSED: "Vault refused to log in, or there is no ServiceAccount to log in with; the message says what mends it.",
    Reason.STORE_UNAVAILABLE: "Vault does not answer, is sealed, or stands by; it is tried again.",
    Reason.SCHEDULE_TOO_DENSE: "The schedule rotates faster than the storm guard or the overlap allow.",
    Reason.TOO_MANY_KEYS: "Too many live keys are recorded for this ApiKey.",
    Reason.ISSUE_FAILED: "Asking for a key failed; it is tried again with growing pauses.",
    Reason.DELIVERY_FAILED: "The key could not be delivered and was revoked.",
    Reason.KEY_CHECK_FAILED: "The new key did not work at the issuer and was revoked; the old one stays.",
    Reason.ATTEMPT_LOST: "An interrupted attempt left a key that nobody holds; it was revoked.",
    Reason.RENEWAL_FAILING: "The key works, but its renewal fails.",
    Reason.REVOCATION_FAILED: "A key could not be revoked yet; it is tried again.",
    Reason.REVOKED: "A key was revoked.",
    Reason.RETAINED: "The ApiKey is gone; its key and target stay, as deletionPolicy says.",
    Reason.TARGET_CLEANED: "A target that is no longer used was cleaned.",
    Reason.TARGET_REWRITTEN: "The target was written anew with the same key.",
    Reason.HAND_MADE_REPLACED: "A key that somebody had put into an adopted Secret was replaced; revoking it is theirs.",
    Reason.LATE_KEY_REVOKED: "A key of an interrupted attempt turned up late and was revoked.",
    Reason.ABANDONED: "Released by keywright.dev/abandon; the event names the keys left at the issuer.",
    Reason.EXPIRY_CLAMPED: "The platform's policy gave another last day than asked.",
    Reason.RESTARTED: "Workloads of rotation.restart were restarted for a new key.",
    Reason.RESTART_FAILED: "A workload of rotation.restart was not restarted, or its rollout cannot be seen; the event says why.",
    Reason.OVERLAP_FULL: "More than five older keys were alive; the oldest was revoked early.",
    Reason.OLD_KEY_IN_USE: "An older key was used after the day on which it was replaced: somebody has not moved over.",
    Reason.STRAY_KEY: "A live key has this cluster's tag and nothing names it, or somebody uses it; it is left: see keywright sweep.",
    Reason.ADMIN_KEY_WORKS: "The issuer accepts the admin key.",
    Reason.KEYS_VANISHED: "The issuer lists none of the keys that it should: nothing is re-issued before a person has looked.",
    Reason.STORE_WORKS: "Vault answers, and lets keywright in.",
}
"""One sentence each; docs/reasons.md is made from these."""
