"""Every reason keywright gives, in one place: the same word goes to condition, event, log line and metric.

Names neither when a reason applies (planning/rules.py) nor how it is shown.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["EXPLANATIONS", "REMEDIES", "Reason"]


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

    # Told by commands alone: an operator that does not run can say nothing.
    NOT_OBSERVED = "NotObserved"
    ENDS_SOON = "EndsSoon"

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
    Reason.NOT_OBSERVED: "No operator has looked at the ApiKey since it was changed, or since something was due; commands say this.",
    Reason.ENDS_SOON: "spec.expiry.date is less than a week away, and time does not renew the key; commands say this.",
    Reason.ADMIN_KEY_WORKS: "The issuer accepts the admin key.",
    Reason.KEYS_VANISHED: "The issuer lists none of the keys that it should: nothing is re-issued before a person has looked.",
    Reason.STORE_WORKS: "Vault answers, and lets keywright in.",
}
"""One sentence each; docs/reasons.md is made from these."""

REMEDIES: dict[Reason, str] = {
    Reason.ISSUED: "Nothing.",
    Reason.ADOPTED: "Nothing.",
    Reason.SUSPENDED: "Set spec.suspend to false once keys may be issued again.",
    Reason.NEVER_ROTATES: "Write spec.expiry.validity, such as 90d, or a spec.rotation.schedule.",
    Reason.NOT_ISSUED: "Nothing; it is being issued.",
    Reason.TARGET_MISSING: "Nothing; a new key is issued. Find out who deletes the target.",
    Reason.TARGET_DRIFTED: "Nothing; it is repaired. Stop whoever else writes the target, or give the ApiKey another one.",
    Reason.KEY_GONE: "Nothing; a new key is issued. Find out who revoked it at the platform.",
    Reason.SPEC_CHANGED: "Nothing; a key that fits is issued.",
    Reason.TRIGGERED: "Nothing; a new key is issued.",
    Reason.COMPROMISED: "Nothing; a new key is issued and all older ones are revoked.",
    Reason.SCHEDULED: "Nothing; a new key is issued.",
    Reason.RENEWAL_DUE: "Nothing; a new key is issued.",
    Reason.EXPIRED: "Write a later spec.expiry.date, or spec.expiry.validity for a key that is renewed; or delete the ApiKey.",
    Reason.ISSUING: "Nothing; it takes seconds.",
    Reason.RECOVERING: "Nothing; keywright looks what became of it.",
    Reason.DELETING: "Nothing; the ApiKey goes once its keys are revoked.",
    Reason.WAITING_FOR_LATE_KEYS: "Nothing; it goes at the time given.",
    Reason.WAITING: "Nothing.",
    Reason.INVALID_SPEC: "Edit the field that the message names.",
    Reason.ISSUER_NOT_FOUND: "Create the issuer, or correct spec.issuerRef.",
    Reason.ISSUER_DELETING: "Name another issuer in spec.issuerRef, or delete the ApiKey.",
    Reason.ISSUER_INVALID: "Edit the issuer's spec as the message says.",
    Reason.ISSUER_REFUSED: "Change what the platform objects to: the message quotes it.",
    Reason.ISSUER_UNAVAILABLE: "Wait; where it lasts, try the issuer's spec.mistral.url from the cluster, and look at NetworkPolicies.",
    Reason.ISSUER_RATE_LIMITED: "Wait; where it lasts, lower the issuer's spec.requests, or ask the platform for a higher limit.",
    Reason.ISSUER_MALFORMED: "Correct the issuer's spec.mistral.url and adminPath; where they are right, report the answer as a bug.",
    Reason.ISSUER_CREDENTIALS_GONE: "Put the admin key's Secret or the issuer back; else revoke the keys at the platform, then annotate "
    'keywright.dev/abandon: "true".',
    Reason.ADMIN_KEY_MISSING: "Create the Secret, or the data key in it, that the issuer's adminKeySecretRef names.",
    Reason.ADMIN_KEY_REFUSED: "Put a working Admin API key into the Secret that the issuer's adminKeySecretRef names.",
    Reason.CLUSTER_SCOPE_OFF: "Name a KeyIssuer or VaultStore of the namespace, or run the operator without --namespace.",
    Reason.NOT_GRANTED: "Ask whoever runs the issuer for a grant, or ask for what is granted: the message names it.",
    Reason.GRANT_LOST: "Ask whoever runs the issuer to grant it again; else delete the ApiKey.",
    Reason.WORKSPACE_NOT_FOUND: "Write one of the workspaces that the message lists into spec.workspace, or create it at the platform.",
    Reason.WORKSPACE_AMBIGUOUS: "Write the workspace's uuid into spec.workspace.",
    Reason.USER_NOT_FOUND: "Write a member of the organization into the issuer's spec.mistral.user.",
    Reason.EXPIRY_IN_PAST: "Write a later spec.expiry.date, or spec.expiry.validity.",
    Reason.TARGET_FOREIGN: "Write another spec.target, or let keywright take the target over with adopt: true.",
    Reason.TARGET_CONFLICT: "Write another spec.target into one of the two.",
    Reason.TARGET_REFUSED: "Mend what the message names: a right, a quota, an admission rule, or the target itself.",
    Reason.STORE_NOT_FOUND: "Create the store, or correct spec.target.vault.storeRef.",
    Reason.STORE_NOT_GRANTED: "Ask whoever runs the store to select the namespace in its spec.namespaces.",
    Reason.STORE_INVALID: "Edit the store's spec as the message says.",
    Reason.STORE_REFUSED: "Mend the role, policy or ServiceAccount in Vault that the message names.",
    Reason.STORE_UNAVAILABLE: "Unseal or restart Vault; where it runs, try the store's spec.address from the cluster.",
    Reason.SCHEDULE_TOO_DENSE: "Write a rarer spec.rotation.schedule, or a shorter overlap.",
    Reason.TOO_MANY_KEYS: "Revoke the keys that the message names at the platform, or wait until their overlap ends.",
    Reason.ISSUE_FAILED: "Wait; where it lasts, mend what the message names.",
    Reason.DELIVERY_FAILED: "Mend what keeps the target from being written; it is tried again.",
    Reason.KEY_CHECK_FAILED: "Correct the issuer's checkUrl where the platform's /v1/models is elsewhere; it is tried again.",
    Reason.ATTEMPT_LOST: "Nothing; it is tried again.",
    Reason.RENEWAL_FAILING: "Mend what the message names before the key ends.",
    Reason.REVOCATION_FAILED: "Wait; where it lasts, mend what the message names, or revoke the key at the platform.",
    Reason.REVOKED: "Nothing.",
    Reason.RETAINED: "Nothing, or revoke the key at the platform once nobody uses it.",
    Reason.TARGET_CLEANED: "Nothing.",
    Reason.TARGET_REWRITTEN: "Nothing; find out who changed the target.",
    Reason.HAND_MADE_REPLACED: "Revoke the key made by hand at the platform, once nobody uses it.",
    Reason.LATE_KEY_REVOKED: "Nothing.",
    Reason.ABANDONED: "Revoke the keys that the event names at the platform.",
    Reason.EXPIRY_CLAMPED: "Nothing; or write a validity that the platform's policy allows.",
    Reason.RESTARTED: "Nothing.",
    Reason.RESTART_FAILED: "Mend what the event names: a right (manifests/restart), a name, or the workload's rollout.",
    Reason.OVERLAP_FULL: "Rotate less often, or write a shorter spec.rotation.overlap.",
    Reason.OLD_KEY_IN_USE: "Find who still has the older key and move them over before it is revoked.",
    Reason.STRAY_KEY: "Look at it with keywright sweep, and revoke it with keywright sweep --revoke once nobody should have it.",
    Reason.NOT_OBSERVED: "Look whether the operator runs: kubectl -n keywright-system get deployment,lease keywright, and its log.",
    Reason.ENDS_SOON: "Write a later spec.expiry.date, or spec.expiry.validity for a key that is renewed; or let it end.",
    Reason.ADMIN_KEY_WORKS: "Nothing.",
    Reason.KEYS_VANISHED: "Put the admin key of the right organization back; the issuer's message says what to do if all were revoked.",
    Reason.STORE_WORKS: "Nothing.",
}
"""What to do, one sentence each, for a reader of docs/reasons.md, `keywright status` and `keywright why`."""
