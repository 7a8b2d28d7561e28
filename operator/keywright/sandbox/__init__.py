"""The sandbox issuer: the embedded default, a stand-in for the Mistral platform that a client cannot tell from it.

Owns its own reading of the wire format (wire.py, written from the reference's OpenAPI document) and shares no model
with the operator: an adapter that works here has met a second opinion. Imports nothing of keywright but errors.

    server.py     the process: addresses, admin key file, signals
    app.py        the ASGI application: gate.py (who may call, how often) in front of routes/ (one file per subject)
    answers.py    bodies in and out; every refusal's shape
    wire.py       requests and answers; vocabulary.py the closed word lists, reading.py the query parameters
    store/        SQLite: database.py opens it, journal.py commits in groups, one file of statements per subject
    console/      the web pages at /: the same statements, for a person with a browser

To start one: `server.run(Settings(...))`, or the command `keywright sandbox`. In a test:
`build_app(Store.open(path), admin_key=...)`.
"""
