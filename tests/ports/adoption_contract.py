"""What every Sink must do with a Secret that somebody gives away, if it knows such a thing."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest
from tests.ports.sink_place import AtAPlace, SinkPlace

from keywright.errors import Conflict, Rejected
from keywright.planning.layout import layout_digest_of
from keywright.planning.observed import Foreign, HandMade, Present, Sought, TargetLayout

__all__ = ["AdoptionContract"]


class AdoptionContract(AtAPlace):
    """The laws about what others own."""

    async def adoptable(self, place: SinkPlace, **texts: str) -> tuple[TargetLayout, Foreign]:
        """A Secret that somebody gives away, and how it is to look."""
        layout = self.a_layout(place, adopted=True)
        await place.make_foreign(layout.name, texts, adoptable_by=place.owner)
        state = await place.port.read(layout.namespace, layout.name, Sought(layout, None))
        assert isinstance(state, Foreign)
        return layout, state

    async def test_what_is_given_away_is_told(self, place: SinkPlace):
        """To whom, and of the values that a delivery would replace no more than the end of what is long enough to be a key."""
        given = secrets.token_hex(16)
        layout, state = await self.adoptable(place, **{"api-key": given, "theirs": secrets.token_hex(16)})
        assert (state.adoptable_by, state.type, state.immutable) == (place.owner, "Opaque", False)
        assert state.hand_made == (HandMade("api-key", given[-4:]),)
        assert given not in repr(state)
        layout, state = await self.adoptable(place, **{"api-key": "short"})
        assert state.hand_made == (HandMade("api-key", None),)
        templated = replace(layout, template={"other": "${api_key}"})
        state = await place.port.read(layout.namespace, layout.name, Sought(templated, None))
        assert isinstance(state, Foreign)
        assert state.hand_made == ()

    async def test_an_adopted_secret_keeps_what_others_put_there(self, place: SinkPlace):
        """Through delivery, rotation, a new layout, and the end: then only ours goes, and it can be adopted again."""
        layout, state = await self.adoptable(place, **{"api-key": "by hand", "theirs": "x"})
        owner = self.an_owner(place)
        await place.port.rehearse(layout, owner, state.version)
        assert (await place.texts(layout.name))["api-key"] == "by hand"
        first = self.a_delivery(place, layout)
        present = await place.port.deliver(first, state.version)
        assert (present.adopted, present.record) == (True, first.record)
        assert present.layout_digest == layout_digest_of(layout, owner)
        assert await place.texts(layout.name) == {"api-key": first.plaintext.reveal(), "theirs": "x"}
        second = self.a_delivery(place, layout)
        present = await place.port.deliver(second, present.version)
        another = replace(layout, key="another", labels={"team": "search"})
        present = await place.port.rewrite(another, owner, second.record, present.version)
        assert await place.texts(layout.name) == {"another": second.plaintext.reveal(), "theirs": "x"}
        assert (present.adopted, present.layout_digest) == (True, layout_digest_of(another, owner))
        with pytest.raises(Conflict):
            await place.port.clean(layout.namespace, layout.name, state.version, adopted=True)
        await place.port.clean(layout.namespace, layout.name, present.version, adopted=True)
        assert await place.texts(layout.name) == {"theirs": "x"}
        left = await place.port.read(layout.namespace, layout.name)
        assert isinstance(left, Foreign)
        assert left.adoptable_by == place.owner
        assert place.port.known(layout.namespace, layout.name) is None
        await place.remove(layout.name)
        await place.port.clean(layout.namespace, layout.name, left.version, adopted=True)

    async def test_nothing_goes_over_what_is_not_given_away(self, place: SinkPlace):
        """Neither without the annotation, nor for another ApiKey, nor where adopting was not asked for, nor over another version."""
        owner = self.an_owner(place)
        for giver, adopted in ((None, True), ("another", True), (place.owner, False)):
            layout = self.a_layout(place, adopted=adopted)
            await place.make_foreign(layout.name, adoptable_by=giver)
            state = await place.port.read(layout.namespace, layout.name)
            assert isinstance(state, Foreign)
            with pytest.raises(Rejected):
                await place.port.deliver(self.a_delivery(place, layout), state.version)
            with pytest.raises(Rejected):
                await place.port.rehearse(layout, owner, state.version)
            assert await place.texts(layout.name) == {"api-key": "theirs"}
        layout, state = await self.adoptable(place, **{"api-key": "by hand"})
        await place.spoil(layout.name, "api-key")
        for write in (
            place.port.deliver(self.a_delivery(place, layout), state.version),
            place.port.fence(layout, owner, "aaaaaaa1", state.version),
        ):
            with pytest.raises(Conflict):
                await write
        assert await place.texts(layout.name) == {"api-key": "spoilt"}

    async def test_a_fence_takes_over_what_is_given_away(self, place: SinkPlace):
        """With all that stands in it: who saw it before is shut out, a delivery goes over it, and until then nothing in it is ours."""
        given = {"api-key": secrets.token_hex(16), "theirs": "x"}
        layout, state = await self.adoptable(place, **given)
        owner = self.an_owner(place)
        fenced = await place.port.fence(layout, owner, "aaaaaaa1", state.version)
        assert (fenced.owner_uid, fenced.record, fenced.fence, fenced.adopted) == (owner.uid, None, "aaaaaaa1", True)
        assert await place.texts(layout.name) == given
        with pytest.raises(Conflict):
            await place.port.deliver(self.a_delivery(place, layout), state.version)
        again = await place.port.read(layout.namespace, layout.name, Sought(layout, None))
        assert isinstance(again, Present)
        assert again.hand_made == (HandMade("api-key", given["api-key"][-4:]),)
        await place.port.clean(layout.namespace, layout.name, fenced.version, adopted=True)
        assert await place.texts(layout.name) == given
        left = await place.port.read(layout.namespace, layout.name)
        assert isinstance(left, Foreign)
        fenced = await place.port.fence(layout, owner, "aaaaaaa2", left.version)
        delivery = self.a_delivery(place, layout)
        present = await place.port.deliver(delivery, fenced.version)
        assert (present.fence, present.record, present.adopted) == (None, delivery.record, True)
        assert await place.texts(layout.name) == {"api-key": delivery.plaintext.reveal(), "theirs": "x"}
