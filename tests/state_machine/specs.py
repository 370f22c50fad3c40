"""Rules of specs and realm profiles."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from mobstore import MobDefinition, Profile
from state_machine.oracle import CONFLICT, NOT_FOUND, Oracle, Refusal
from state_machine.pools import mobs, names, profile, revisions


class Specs(Oracle):
    """Rules of specs and realm profiles."""

    @rule(mob=mobs, content=st.sampled_from(["a", "b"]), revision=revisions)
    def put_spec(self, mob: str, content: str, revision: int | None) -> None:
        definition = MobDefinition.model_validate({"id": content})
        current = self.specs[mob][1] if mob in self.specs else 0
        expected: Any = current + 1
        if revision is not None and revision != current:
            expected = Refusal(
                "SpecRevisionConflictError",
                f"spec revision conflict for mob {mob}:"
                f" expected Some({revision}), actual {current}",
            )
        else:
            self.specs[mob] = json.loads(definition.to_json()), current + 1
        self.same(self.stores.specs.put_spec(mob, definition, revision), expected)

    @rule(mob=mobs, revision=revisions)
    def delete_spec(self, mob: str, revision: int | None) -> None:
        done = mob in self.specs and revision in {None, self.specs[mob][1]}
        if done:
            del self.specs[mob]
        self.same(self.stores.specs.delete_spec(mob, revision), done)

    @rule(name=names, model=st.sampled_from(["a", "b"]))
    def create_profile(self, name: str, model: str) -> None:
        expected: Any
        if name in self.profiles:
            expected = self.refusal(CONFLICT, f"realm profile already exists: {name}")
        else:
            now = self.subject.now
            expected = self.profiles[name] = {
                "name": name,
                "profile": profile(model),
                "revision": 1,
                "created_at": now,
                "updated_at": now,
            }
        argument = Profile.from_json(json.dumps(profile(model)))
        self.same(self.stores.realm_profiles.create(name, argument), expected)

    def _at_revision(self, name: str, revision: int) -> Refusal | None:
        if name not in self.profiles:
            return self.refusal(NOT_FOUND, f"realm profile not found: {name}")
        actual = self.profiles[name]["revision"]
        if actual != revision:
            text = f"realm profile '{name}' revision conflict: expected {revision}, actual {actual}"
            return self.refusal(CONFLICT, text)
        return None

    @rule(name=names, model=st.sampled_from(["a", "b"]), revision=st.integers(0, 3))
    def update_profile(self, name: str, model: str, revision: int) -> None:
        expected: Any = self._at_revision(name, revision)
        if expected is None:
            expected = self.profiles[name]
            expected.update(
                profile=profile(model), revision=revision + 1, updated_at=self.subject.now
            )
        argument = Profile.from_json(json.dumps(profile(model)))
        self.same(self.stores.realm_profiles.update(name, argument, revision), expected)

    @rule(name=names, revision=st.integers(0, 3))
    def delete_profile(self, name: str, revision: int) -> None:
        expected: Any = self._at_revision(name, revision) or self.profiles.pop(name)
        self.same(self.stores.realm_profiles.delete(name, revision), expected)
