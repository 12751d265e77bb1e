"""Actors that put, tag, delete and collect at the same time, and what must be true whatever the schedule."""

from __future__ import annotations

import contextlib
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import pytest

from fastdatastore.errors import (
    ArtifactNotFound,
    ArtifactTagged,
    LeaseExpired,
    ServerError,
    TagConflict,
    TagNotFound,
)
from fastdatastore.store import manifest_object, tags
from fastdatastore.store.collection import names, state
from fastdatastore.store.collection.gc import gc
from fastdatastore.store.collection.lease import Lease
from fastdatastore.store.collection.names import Names
from fastdatastore.store.collection.state import Phase, State
from fastdatastore.store.collection.timing import GRACE, HOUR, LANDING, LEAST_GRACE, MINUTE
from fastdatastore.store.delete import delete
from fastdatastore.store.digest import digest
from tests.store.collection.world import Actor, MemoryBackend, Stored, World
from tests.store.collection.writing import Artifact, chunk_object, make, put

POOL: Final = [make("a", "b"), make("b", "c"), make("c"), make("a", "c", number=1)]
TAGS: Final = ["t", "u"]
# What befalls whom the network or another actor troubles.
TROUBLE: Final = (ServerError, LeaseExpired, ArtifactNotFound, ArtifactTagged, TagConflict, TagNotFound)


class Loss(Exception):
    """The store has lost something."""


@dataclass
class Put:
    """An acknowledged one, from `began` on."""

    artifact: Artifact
    began: float


@dataclass
class Deletion:
    """May have had its effect until `ended`."""

    artifact: Artifact
    ended: float


@dataclass
class History:
    """What the actors were told."""

    puts: list[Put] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)
    doubtful_tags: set[str] = field(default_factory=set)


def whole(world: World, artifact: Artifact) -> bool:
    return all(name in world.objects for name in artifact.chunks)


def check_manifests(world: World) -> None:
    """Of each artifact that is there all chunks are there, at any time."""
    for artifact in POOL:
        if artifact.name in world.objects and not whole(world, artifact):
            raise Loss(f"{artifact.contents} is there without all of its chunks")


def check_puts(world: World, history: History) -> None:
    """What was put and acknowledged, and not deleted since, is there."""
    for done in history.puts:
        is_deleted = any(each.artifact == done.artifact and each.ended >= done.began for each in history.deletions)
        if not is_deleted and done.artifact.name not in world.objects:
            raise Loss(f"{done.artifact.contents}, put at {done.began:.0f}, is gone")


def check_tags(world: World, history: History) -> None:
    """What a tag names is there; unless it was deleted, and somebody who was setting the tag has died."""
    for tag in TAGS:
        stored = world.objects.get(tags.object_name(tag))
        named = tags.decode(stored.data, tag).ref if stored is not None else None
        for artifact in POOL:
            is_deleted = tag in history.doubtful_tags and any(each.artifact == artifact for each in history.deletions)
            if named == artifact.ref and not is_deleted and artifact.name not in world.objects:
                raise Loss(f"{artifact.contents}, which the tag {tag} names, is gone")


def linger(actor: Actor) -> None:
    """Some time passes before the next thing is done."""
    if (pause := actor.world.chance.choice((0.0, 0.0, 10 * MINUTE, HOUR, 2 * HOUR))) > 0:
        actor.sleep(pause)


def putter(history: History, artifacts: list[Artifact]) -> Callable[[Actor], None]:
    def program(actor: Actor) -> None:
        backend = MemoryBackend(actor.world, actor)
        lease = Lease(backend, actor)
        for artifact in artifacts:
            linger(actor)
            for _ in range(3):
                began = actor.world.time
                try:
                    put(backend, lease, artifact)
                except TROUBLE:
                    continue
                history.puts.append(Put(artifact, began))
                break

    return program


def tagger(history: History, name: str, artifacts: list[Artifact]) -> Callable[[Actor], None]:
    def program(actor: Actor) -> None:
        backend = MemoryBackend(actor.world, actor)
        lease = Lease(backend, actor)
        for artifact in artifacts:
            linger(actor)
            with contextlib.suppress(*TROUBLE):
                put(backend, lease, artifact)
            is_doubtful = name not in history.doubtful_tags
            history.doubtful_tags.add(name)
            with contextlib.suppress(ArtifactNotFound, TagConflict):
                try:
                    tags.set_tag(backend, lease, name, artifact.ref)
                except (ServerError, LeaseExpired):
                    continue
            if is_doubtful:
                history.doubtful_tags.discard(name)

    return program


def deleter(history: History, artifacts: list[Artifact]) -> Callable[[Actor], None]:
    def program(actor: Actor) -> None:
        backend = MemoryBackend(actor.world, actor)
        for artifact in artifacts:
            linger(actor)
            deletion = Deletion(artifact, float("inf"))
            history.deletions.append(deletion)
            with contextlib.suppress(*TROUBLE):
                delete(backend, artifact.ref, clock=actor)
            # A delete that failed, or was sent twice, may land so much later.
            deletion.ended = actor.world.time + LANDING

    return program


def collector(runs: int, untagged: bool) -> Callable[[Actor], None]:
    def program(actor: Actor) -> None:
        backend = MemoryBackend(actor.world, actor)
        for _ in range(runs):
            try:
                report = gc(backend, grace=LEAST_GRACE, untagged=untagged, clock=actor)
            except ServerError:
                continue
            if (pause := actor.world.chance.choice((0.0, HOUR / 2, report.due_in or 0.0, report.due_in or HOUR))) > 0:
                actor.sleep(pause)

    return program


def play(seed: int) -> None:
    """One schedule, always the same for a seed. Raises what goes wrong."""
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_hex", lambda size: chance.randbytes(size).hex())
        patch.setattr(secrets, "token_bytes", chance.randbytes)
        _play(chance)


def _play(chance: random.Random) -> None:
    world = World(chance)
    history = History()
    untagged = chance.random() < 0.3
    for content in ("a", "b", "c"):
        if chance.random() < 0.7:
            store_chunk(world, content.encode())
    for artifact in POOL:
        if chance.random() < 0.4 and whole(world, artifact):
            store(world, artifact, chance.choice((HOUR, 13 * HOUR, 40 * HOUR)))
    if chance.random() < 0.6:
        condemn(world, chance.uniform(0, 1.2 * LEAST_GRACE))

    def some(most: int) -> list[Artifact]:
        return [chance.choice(POOL) for _ in range(chance.randint(1, most))]

    programs = [collector(5, untagged), putter(history, some(3))]
    # Most losses need no more than two: so they are let alone at times, and seldom troubled.
    world.troubles = chance.choice((1.0, 1.0, 0.2))
    match chance.choice(("alone", "crowd", "crowd", "tag and delete")):
        case "crowd":
            programs += chance.sample(
                [
                    collector(5, untagged),
                    collector(3, False),
                    putter(history, some(3)),
                    putter(history, some(3)),
                    deleter(history, some(2)),
                    deleter(history, some(2)),
                    tagger(history, chance.choice(TAGS), some(3)),
                    tagger(history, chance.choice(TAGS), some(3)),
                ],
                chance.randint(1, 4),
            )
        case "tag and delete":
            one = chance.choice(POOL)
            store(world, one, chance.choice((HOUR, 13 * HOUR)))
            programs = [tagger(history, "t", [one]), deleter(history, [one]), collector(1, untagged)]
    actors = [
        Actor(f"{program.__qualname__.split('.')[0]}-{at}", program, chance.uniform(0, 1e9), chance.uniform(0.99, 1.01))
        for at, program in enumerate(programs)
    ]
    for actor in actors:
        actor.wakes = world.time + chance.choice((0.0, 0.0, chance.uniform(0, LEAST_GRACE)))
    world.after_step = lambda: check_manifests(world)
    world.run(actors)

    def check() -> None:
        check_manifests(world)
        check_tags(world, history)
        if not untagged:
            check_puts(world, history)

    check()
    if chance.random() < 0.2:
        clean_up(world)
        check()
        check_no_garbage(world)


def store_chunk(world: World, content: bytes) -> None:
    world.objects[make(content.decode()).chunks[0]] = Stored(chunk_object(content), world.time - 3 * HOUR)


def store(world: World, artifact: Artifact, age: float) -> None:
    for content in artifact.contents:
        store_chunk(world, content)
    data = b"".join(map(bytes, manifest_object.encode(artifact.logical)))
    world.objects[artifact.name] = Stored(data, world.time - age)


def condemn(world: World, since: float) -> None:
    """An earlier run has listed what is garbage now."""
    held = {name for artifact in POOL if artifact.name in world.objects for name in artifact.chunks}
    garbage = Names.of(names.key_of(name) for name in world.objects if name.startswith("chunks/") and name not in held)
    if len(garbage):
        data = names.encode(garbage, bytes(16))
        list_id = digest(data)
        published = State().to(Phase.CONDEMNED, list_id)
        world.objects[names.LISTS + list_id] = Stored(data, world.time - since)
        world.objects[state.NAME] = Stored(state.encode(published), world.time - since)


def clean_up(world: World) -> None:
    """What a nightly gc does, when all others are at rest."""

    def program(actor: Actor) -> None:
        backend = MemoryBackend(world, actor)
        for _ in range(5):
            world.time += 2 * GRACE
            gc(backend, clock=actor)

    world.troubles = 0.0
    world.run([Actor("the last", program, 0.0, 1.0)])


def check_no_garbage(world: World) -> None:
    held = {name for artifact in POOL if artifact.name in world.objects for name in artifact.chunks}
    left = {name for name in world.objects if name.startswith("chunks/")} - held
    if left:
        raise AssertionError(f"garbage is never collected: {left}")
    beside = [name for name in world.objects if name.startswith("gc/") and name != "gc/state.json"]
    if beside:
        raise AssertionError(f"never tidied up: {beside}")
