"""What every Sink must do, on real Secrets or in memory: methods over a `place`, which subclasses give as a fixture.

Each method delivers to a name of its own in `place.namespace`, so that they may run at the same time over one apiserver.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.ports.adoption_contract import AdoptionContract

from keywright.errors import Conflict
from keywright.keys import AttemptId, KeyId, KeyRecord, ResourceKey, SecretValue
from keywright.planning.layout import layout_digest_of
from keywright.planning.observed import Absent, Foreign, Present, Sought

if TYPE_CHECKING:
    from tests.ports.sink_place import SinkPlace

__all__ = ["SinkContract"]


class SinkContract(AdoptionContract):
    """The laws."""

    async def test_nothing_is_absent(self, place: SinkPlace):
        """A type of its own; a watch that said nothing says None."""
        layout = self.a_layout(place)
        assert await place.port.read(place.namespace, layout.name) == Absent()
        assert place.port.known(place.namespace, layout.name) is None

    async def test_a_delivery_puts_plaintext_and_record_there_in_one_go(self, place: SinkPlace):
        """What is returned, read and known is the same, and looks as it was asked to."""
        delivery, present = await self.delivered(place)
        layout, owner, record = delivery.layout, delivery.owner, delivery.record
        assert await place.texts(layout.name) == {"api-key": delivery.plaintext.reveal()}
        assert present == await self.read(place, layout) == place.port.known(layout.namespace, layout.name)
        assert (present.owner, present.owner_uid, present.record) == (owner.key, owner.uid, record)
        assert present.digest == record.digest == delivery.plaintext.digest()
        assert present.layout_digest == layout_digest_of(layout, owner)
        assert present.fence is None
        assert record.key_id in set(place.port.recorded())

    async def test_a_delivered_plaintext_can_be_proved(self, place: SinkPlace):
        """The very plaintext is given to the check, for the key of its record only; where it was changed there is none."""
        layout = self.a_layout(place)
        delivery = self.a_delivery(place, layout)
        key_id, tried = delivery.record.key_id, []

        async def check(plaintext: SecretValue) -> bool:
            tried.append(plaintext)
            return len(tried) == 1

        assert await place.port.prove(layout.namespace, layout.name, key_id, check) is None
        await place.port.deliver(delivery, None)
        assert place.port.recorded()[key_id] == ResourceKey(layout.namespace, layout.name)
        assert await place.port.prove(layout.namespace, layout.name, key_id, check) is True
        assert await place.port.prove(layout.namespace, layout.name, key_id, check) is False
        assert tried == [delivery.plaintext] * 2
        assert await place.port.prove(layout.namespace, layout.name, KeyId("another"), check) is None
        await place.spoil(layout.name, layout.key)
        assert await place.port.prove(layout.namespace, layout.name, key_id, check) is None
        assert len(tried) == 2

    async def test_a_template_is_rendered(self, place: SinkPlace):
        """In place of the data key; the digest is the plaintext's all the same."""
        template = {"A": "${api_key}", "config.ini": "[mistral]\nkey=${api_key}\nid=${key_id}\n"}
        delivery, present = await self.delivered(place, template=template)
        plaintext = delivery.plaintext.reveal()
        expected = {"A": plaintext, "config.ini": f"[mistral]\nkey={plaintext}\nid={delivery.record.key_id}\n"}
        assert await place.texts(delivery.layout.name) == expected
        assert present.digest == delivery.plaintext.digest()

    async def test_a_delivery_goes_over_the_version_it_names(self, place: SinkPlace):
        """Plaintext, record and layout are replaced."""
        first, present = await self.delivered(place)
        layout = replace(first.layout, key="other", labels={"team": "search"})
        second = self.a_delivery(place, layout, handled=first.record.handled, revision=2)
        after = await place.port.deliver(second, present.version)
        assert await place.texts(layout.name) == {"other": second.plaintext.reveal()}
        assert after.record == second.record
        assert after.version != present.version
        assert after.layout_digest == layout_digest_of(layout, second.owner)
        assert first.record.key_id not in set(place.port.recorded())

    async def test_a_delivery_to_another_version_conflicts(self, place: SinkPlace):
        """Where something stands and nothing was expected, where it changed, and where it is gone: nothing is written."""
        first, present = await self.delivered(place)
        second = self.a_delivery(place, first.layout)
        with pytest.raises(Conflict):
            await place.port.deliver(second, None)
        third = self.a_delivery(place, first.layout)
        await place.port.deliver(third, present.version)
        with pytest.raises(Conflict):
            await place.port.deliver(second, present.version)
        assert await place.texts(first.layout.name) == {"api-key": third.plaintext.reveal()}
        version = (await self.read(place, first.layout)).version
        await place.remove(first.layout.name)
        with pytest.raises(Conflict):
            await place.port.deliver(second, version)

    async def test_somebody_elses_secret_is_foreign_and_stays(self, place: SinkPlace):
        """It is said whose, and neither rehearsal nor delivery nor fence goes over it."""
        layout = self.a_layout(place)
        await place.make_foreign(layout.name)
        before = await place.texts(layout.name)
        state = await place.port.read(layout.namespace, layout.name)
        assert isinstance(state, Foreign)
        assert state.whose
        assert place.port.known(layout.namespace, layout.name) is None
        with pytest.raises(Conflict):
            await place.port.rehearse(layout, self.an_owner(place), None)
        with pytest.raises(Conflict):
            await place.port.deliver(self.a_delivery(place, layout), None)
        with pytest.raises(Conflict):
            await place.port.fence(layout, self.an_owner(place), "aaaaaaa1", None)
        assert await place.texts(layout.name) == before

    async def test_the_plaintext_is_known_again_without_its_annotations(self, place: SinkPlace):
        """By the digest that is sought, and by nothing else; then it is laid out again with the record that is given."""
        template = {"A": "${api_key}", "config.ini": "key=${api_key}\nid=${key_id}\n"}
        for shape in ({}, {"template": template}, {"adopted": True}):
            for strip in (place.strip, place.strip_annotations):
                delivery, before = await self.delivered(place, **shape)
                layout, texts = delivery.layout, await place.texts(delivery.layout.name)
                await strip(layout.name)
                sought = Sought(layout, delivery.record)
                state = await place.port.read(layout.namespace, layout.name, sought)
                assert isinstance(state, Present | Foreign)
                assert state.digest == delivery.record.digest
                other = Sought(layout, replace(delivery.record, digest="e" * 64))
                state = await place.port.read(layout.namespace, layout.name, other)
                assert isinstance(state, Present | Foreign)
                assert state.digest != "e" * 64
                present = await place.port.rewrite(layout, delivery.owner, delivery.record, state.version)
                assert await place.texts(layout.name) == texts
                assert replace(present, version="") == replace(before, version="")
                assert present == place.port.known(layout.namespace, layout.name)

    async def test_what_was_changed_without_annotations_is_not_known_again(self, place: SinkPlace):
        """Then the plaintext is lost."""
        delivery, _ = await self.delivered(place)
        layout = delivery.layout
        await place.strip(layout.name)
        await place.spoil(layout.name, layout.key)
        state = await place.port.read(layout.namespace, layout.name, Sought(layout, delivery.record))
        assert isinstance(state, Foreign)
        assert state.digest is None
        with pytest.raises(Conflict):
            await place.port.rewrite(layout, delivery.owner, delivery.record, state.version)

    async def test_a_read_tells_who_changed_the_data(self, place: SinkPlace):
        """Where it is not what was delivered, and only to who asks."""
        delivery, present = await self.delivered(place)
        layout, sought = delivery.layout, Sought(delivery.layout, delivery.record)
        assert await place.port.read(layout.namespace, layout.name, sought) == present
        await place.spoil(layout.name, layout.key)
        state = await place.port.read(layout.namespace, layout.name, sought)
        assert isinstance(state, Present)
        assert state.changed_by == place.hand
        known = place.port.known(layout.namespace, layout.name)
        assert known
        assert known.changed_by is None
        present = await place.port.deliver(self.a_delivery(place, layout), state.version)
        assert present.changed_by is None

    async def test_a_rehearsal_changes_nothing(self, place: SinkPlace):
        """Of a creation and of an update; what is not as expected conflicts."""
        layout, owner = self.a_layout(place), self.an_owner(place)
        await place.port.rehearse(layout, owner, None)
        assert await place.port.read(layout.namespace, layout.name) == Absent()
        delivery = self.a_delivery(place, layout)
        present = await place.port.deliver(delivery, None)
        await place.port.rehearse(replace(layout, key="other"), owner, present.version)
        assert await self.read(place, layout) == present
        with pytest.raises(Conflict):
            await place.port.rehearse(layout, owner, None)
        await place.port.deliver(self.a_delivery(place, layout), present.version)
        with pytest.raises(Conflict):
            await place.port.rehearse(layout, owner, present.version)

    async def test_a_fence_on_nothing_makes_an_empty_one_of_ours(self, place: SinkPlace):
        """So that a creation on its way fails."""
        layout, owner = self.a_layout(place), self.an_owner(place)
        fenced = await place.port.fence(layout, owner, "aaaaaaa1", None)
        assert (fenced.owner, fenced.owner_uid, fenced.record, fenced.fence) == (owner.key, owner.uid, None, "aaaaaaa1")
        assert await place.texts(layout.name) == {}
        with pytest.raises(Conflict):
            await place.port.deliver(self.a_delivery(place, layout), None)
        delivery = self.a_delivery(place, layout)
        assert (await place.port.deliver(delivery, fenced.version)).record == delivery.record

    async def test_a_fence_shuts_out_who_saw_the_version_before(self, place: SinkPlace):
        """Plaintext and record stay; the same mark again is a fence again; a delivery takes it off."""
        delivery, present = await self.delivered(place)
        owner = delivery.owner
        fenced = await place.port.fence(delivery.layout, owner, "aaaaaaa1", present.version)
        assert (fenced.fence, fenced.record, fenced.digest) == ("aaaaaaa1", present.record, present.digest)
        again = await place.port.fence(delivery.layout, owner, "aaaaaaa1", fenced.version)
        assert len({present.version, fenced.version, again.version}) == 3
        for version in (present.version, fenced.version):
            with pytest.raises(Conflict):
                await place.port.deliver(self.a_delivery(place, delivery.layout), version)
        with pytest.raises(Conflict):
            await place.port.fence(delivery.layout, owner, "bbbbbbb1", present.version)
        after = await place.port.deliver(self.a_delivery(place, delivery.layout), again.version)
        assert after.fence is None

    async def test_the_same_key_is_laid_out_anew(self, place: SinkPlace):
        """Plaintext and record stay, looks and owner are the new ones."""
        delivery, present = await self.delivered(place)
        layout = replace(delivery.layout, key="api-key", template={"A": "key=${api_key}"}, labels={"team": "search"})
        owner = replace(delivery.owner, bound=False)
        rewritten = await place.port.rewrite(layout, owner, delivery.record, present.version)
        assert await place.texts(layout.name) == {"A": f"key={delivery.plaintext.reveal()}"}
        assert rewritten.record == delivery.record
        assert rewritten.digest == present.digest
        assert rewritten.layout_digest == layout_digest_of(layout, owner)
        assert rewritten == await self.read(place, layout)

    async def test_what_changed_is_not_laid_out_anew(self, place: SinkPlace):
        """An older view of it, or one whose plaintext is gone."""
        delivery, present = await self.delivered(place)
        layout, owner = replace(delivery.layout, key="other"), delivery.owner
        fenced = await place.port.fence(delivery.layout, owner, "aaaaaaa1", present.version)
        with pytest.raises(Conflict):
            await place.port.rewrite(layout, owner, delivery.record, present.version)
        await place.spoil(layout.name, "api-key")
        with pytest.raises(Conflict):
            await place.port.rewrite(layout, owner, delivery.record, fenced.version)
        version = (await self.read(place, layout)).version
        with pytest.raises(Conflict):
            await place.port.rewrite(layout, owner, delivery.record, version)

    async def test_a_changed_plaintext_shows(self, place: SinkPlace):
        """Its digest is not the record's any more, and it does not look as it should."""
        delivery, _ = await self.delivered(place)
        await place.spoil(delivery.layout.name, "api-key")
        state = await self.read(place, delivery.layout)
        assert state.digest != delivery.record.digest
        assert state.layout_digest != layout_digest_of(delivery.layout, delivery.owner)

    async def test_cleaning_removes_this_version_and_no_other(self, place: SinkPlace):
        """What changed stays; what is gone counts as done."""
        delivery, present = await self.delivered(place)
        layout = delivery.layout
        fenced = await place.port.fence(layout, delivery.owner, "aaaaaaa1", present.version)
        with pytest.raises(Conflict):
            await place.port.clean(layout.namespace, layout.name, present.version, adopted=False)
        await place.port.clean(layout.namespace, layout.name, fenced.version, adopted=False)
        assert await place.port.read(layout.namespace, layout.name) == Absent()
        assert place.port.known(layout.namespace, layout.name) is None
        assert delivery.record.key_id not in set(place.port.recorded())
        await place.port.clean(layout.namespace, layout.name, fenced.version, adopted=False)

    async def test_a_read_corrects_what_is_known(self, place: SinkPlace):
        """Somebody deleted it, and the watch has not said so yet."""
        delivery, _ = await self.delivered(place)
        await place.remove(delivery.layout.name)
        assert await place.port.read(place.namespace, delivery.layout.name) == Absent()
        assert place.port.known(place.namespace, delivery.layout.name) is None

    async def test_a_record_without_an_end_is_read_back(self, place: SinkPlace):
        """Fields that the next record lacks go with it."""
        delivery, present = await self.delivered(place)
        endless = self.a_delivery(place, delivery.layout, expires_on=None, expiry=None)
        after = await place.port.deliver(endless, present.version)
        assert after.record == endless.record
        assert isinstance(after.record, KeyRecord)
        assert after.record.expires_on is None

    async def test_ids_are_told_for_all_that_is_recorded(self, place: SinkPlace):
        """What the inventory takes for named."""
        ids = {(await self.delivered(place))[0].record.key_id for _ in range(3)}
        assert {KeyId(one) for one in ids} <= set(place.port.recorded())
        assert AttemptId("x") not in set(place.port.recorded())
