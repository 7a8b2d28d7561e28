"""The console: the sandbox's web pages, as people know them from the platform's.

Owns no data and no rule: each page reads and writes through the same statements as the API (store/), its forms are read
by the same models (wire.py), and so the audit log has the same entries.

    gateway.py    the ASGI side: which paths are the console's, headers on each answer, what becomes of an exception
    door.py       signing in and out; sessions.py who is signed in, and what they were asked
    forms.py      a form's fields
    places.py     a Workspace or the organization's own view: what every page says it shows
    keyring.py    "Your API keys": list, create, revoke; accounts.py usage, audit log, expiration policy
    wording.py    dates and makers in words; pages.py templates/ and static/, which a browser gets as they are
"""

from keywright.sandbox.console.gateway import Console

__all__ = ["Console"]
