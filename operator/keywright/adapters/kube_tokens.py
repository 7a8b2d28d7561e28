"""Tokens of ServiceAccounts, by TokenRequest. None is kept here: it is shown to whom it is made out for, and forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keywright.adapters.kube import path_of
from keywright.adapters.kube_errors import NotFound
from keywright.errors import Ambiguous, Rejected, Unauthorized, Unavailable
from keywright.keys import SecretValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keywright.adapters.kube import KubeApi

__all__ = ["service_account_token"]

_LASTS: Final = 600
"""Seconds: the apiserver's least."""


async def service_account_token(api: KubeApi, namespace: str, account: str, audiences: Sequence[str]) -> SecretValue:
    """One made out for these audiences. Raises Rejected(StoreRefused) where there is no such account, or no right to its tokens."""
    path = path_of("/api/v1", "serviceaccounts", namespace, account, "token")
    body = {"spec": {"audiences": list(audiences), "expirationSeconds": _LASTS}}
    try:
        answer = await api.request("POST", path, body=body, confidential=True)
    except NotFound:
        raise Rejected(f"there is no ServiceAccount {namespace}/{account}: create it", reason="StoreRefused") from None
    except Ambiguous as error:
        raise Unavailable(str(error)) from None  # one token more hurts nobody
    except Unauthorized as error:
        if error.reason != "Forbidden":
            raise Unavailable(str(error)) from error
        raise Rejected(
            f"keywright may not make tokens of ServiceAccount {namespace}/{account}: give it create on serviceaccounts/token there, "
            "with the Role that examples/vault/ has",
            reason="StoreRefused",
        ) from None
    return SecretValue(answer["status"]["token"])
