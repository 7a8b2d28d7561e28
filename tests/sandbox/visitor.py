"""A browser without scripts, for tests: cookies, pages, and the forms that stand in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

HOST = "127.0.0.1:8080"
BLOCKS = {"dd", "dt", "td", "th", "tr"}
"""What a reader sees apart, whether or not there is a blank between."""

ORIGIN = f"http://{HOST}"


@dataclass
class Form:
    """A form: where it goes, what it would send, and the words on its button."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)


class Page(HTMLParser):
    """What came back: `status`, `headers`, `html`, its `text`, its `forms` by the end of their action, its `links`."""

    def __init__(self, path, answered):
        super().__init__()
        self.path, self.status, self.headers = path, answered.status, answered.headers
        self.html = answered.body.decode()
        self.forms: dict[str, Form] = {}
        self.links: list[str] = []
        self._words: list[str] = []
        self._form: Form | None = None
        self._select: str | None = None
        self.feed(self.html)
        self.text = re.sub(r"\s+", " ", "".join(self._words)).strip()

    def handle_starttag(self, tag, attrs):
        """Forms, their fields, and links."""
        given = dict(attrs)
        if tag in BLOCKS:
            self._words.append(" ")
        if tag == "form":
            self._form = Form(given["action"])
            self.forms[given["action"]] = self._form
        elif tag == "a":
            self.links.append(given["href"])
        elif tag == "select":
            self._select = given["name"]
            self._form.fields[self._select] = ""
        elif tag == "option" and "selected" in given:
            self._form.fields[self._select] = given["value"]
        elif tag == "input" and self._form is not None and "name" in given:
            self._form.fields[given["name"]] = given.get("value", "")
        if tag in {"input", "select"} and "required" in given:
            self._form.required.add(given["name"])

    def handle_endtag(self, tag):
        """A form is over."""
        if tag == "form":
            self._form = None

    def handle_data(self, data):
        """Words."""
        self._words.append(data)

    def form(self, ending):
        """The one form whose action ends so."""
        [found] = [form for action, form in self.forms.items() if action.endswith(ending)]
        return found


class Visitor:
    """Somebody with a browser in front of the sandbox `here`."""

    def __init__(self, here):
        self.here = here
        self.cookies: dict[str, str] = {}

    async def get(self, address, *, follow=True):
        """Open a page."""
        return await self._open("GET", address, follow=follow)

    async def send(self, form, *, follow=True, headers=None, **changed):
        """Fill a form in and send it."""
        body = urlencode({**form.fields, **changed}).encode()
        return await self._open("POST", form.action, body, follow=follow, headers=headers)

    async def sign_in(self, key=None):
        """With the admin key, unless another is given."""
        page = await self.get("/sign-in")
        return await self.send(page.form("/sign-in"), admin_key=self.here.admin_key if key is None else key)

    async def keys(self, workspace="search-prod", query=""):
        """The page "Your API keys"."""
        return await self.get(f"/workspaces/{await self.here.workspace(workspace)}/api-keys{query}")

    async def _open(self, method, address, body=b"", *, follow=True, headers=None):
        parts = urlsplit(address)
        sent = [("host", HOST), *(headers if headers is not None else [("origin", ORIGIN)] if body else [])]
        if self.cookies:
            sent.append(("cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
        if method == "POST":
            sent.append(("content-type", "application/x-www-form-urlencoded"))
        answered = await self.here.call(
            method, parts.path, query=parts.query.encode(), key=None, headers=sent, raw=body
        )
        for name, morsel in SimpleCookie(answered.headers.get("set-cookie", "")).items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
        page = Page(parts.path, answered)
        if follow and page.status == 303:
            return await self._open("GET", urljoin(address, page.headers["location"]))
        return page
