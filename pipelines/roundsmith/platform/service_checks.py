"""Whether running services answer: each is asked for its health and for a small piece of work."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from roundsmith.clients import (
    ClientTls,
    Endpoints,
    GeneratorClient,
    Services,
    StreamSettings,
    connect,
)
from roundsmith.clients.calls import call_once
from roundsmith.clients.channels import open_channel
from roundsmith.errors import EngineError, RoundsmithError, Unavailable
from roundsmith.platform.checks import Check
from roundsmith.types import (
    CallTest,
    ExecuteItem,
    GenerateItem,
    Group,
    JudgedAt,
    Kind,
    Outcome,
    Program,
    Provenance,
    Sample,
    Sampling,
    Score,
    ScoreItem,
    Split,
    Task,
)
from roundsmith.verdicts import Verdict

Work = Callable[[Services], Awaitable[str]]
"""Asks for some work and tells what was done."""

_LOOK_S, _FRESH_S = 0.5, 10.0
"""How long between two looks at a service, and after how long a name is looked up anew: a channel
whose name had no address asks for it ever more seldom, up to two minutes apart.
"""
SOURCE = "def double(x):\n    return 2 * x\n"
TEST = CallTest("1", "double", (21,), 42)
TASK = Task("doctor", Split.TRAIN, "Double a number.", "def double(x):", "double", (TEST,), SOURCE)


async def service_checks(endpoints: Endpoints, patience_s: float) -> list[Check]:
    """A check for each service. Sound services take seconds; one that is away costs patience_s."""
    async with connect(endpoints, StreamSettings(give_up_s=patience_s)) as services:
        asked: dict[str, tuple[str, Work]] = {
            "generator": (endpoints.generator, generator),
            "executor": (endpoints.executor, executor),
            "scorer": (endpoints.scorer, scorer),
            "pair builder": (endpoints.pair_builder, pair_builder),
        }

        async def check(name: str) -> Check:
            target, work = asked[name]
            try:
                health = await _health(target, endpoints.tls, patience_s)
                return Check(name, True, f"{health}; {await work(services)}")
            except RoundsmithError as error:
                return Check(name, False, str(error), f"look at its log; it was asked at {target}")

        return list(await asyncio.gather(*(check(name) for name in asked)))


async def serve_check(endpoint: str, tls: ClientTls | None, patience_s: float) -> Check:
    """A check of the generator that serves promoted weights to others, as they ask it."""
    channel = open_channel(endpoint, tls)
    client = GeneratorClient(channel, settings=StreamSettings(give_up_s=patience_s))
    try:
        health = await _health(endpoint, tls, patience_s)
        return Check("serve", True, f"{health}; {await _written(client)}")
    except RoundsmithError as error:
        return Check("serve", False, str(error), f"look at its log; it was asked at {endpoint}")
    finally:
        await client.stream.close()
        await channel.close()


async def generator(services: Services) -> str:
    """Asks what is served, and for one completion."""
    return await _written(services.generator)


async def _written(client: GeneratorClient) -> str:
    served = await client.model()
    item = GenerateItem("doctor", TASK.description, Sampling(max_tokens=8, temperature=0.0), 0)
    tokens = len((await client.generate(item))[0].token_ids)
    return f"{served.model} {served.weights_sha256[:12]} wrote {tokens} tokens"


async def executor(services: Services) -> str:
    """Asks for the isolation, and for one program that passes and one that fails."""
    tier = (await services.executor.capabilities()).tier
    programs = (Program("right", SOURCE), Program("wrong", SOURCE.replace("2", "3")))
    outcomes = await services.executor.execute(ExecuteItem("doctor", programs, (TEST,)))
    verdicts = {outcome.code_id: outcome.verdict for outcome in outcomes}
    if verdicts != {"right": Verdict.PASS, "wrong": Verdict.FAIL}:
        raise EngineError(f"expected right: PASS, wrong: FAIL, saw {verdicts}")
    return f"{tier}: a right program passed, a wrong one failed"


async def scorer(services: Services) -> str:
    """Asks for the score of one program."""
    score = await services.scorer.score(ScoreItem("doctor", TASK.description, SOURCE))
    if not (score.token_count > 0 and score.logprob_sum < 0):
        raise EngineError(f"expected tokens with a negative log-probability, saw {score}")
    return f"perplexity {score.perplexity:.2f} of {score.token_count} tokens"


async def pair_builder(services: Services) -> str:
    """Asks for the rows of one group, by `gift` where it is served: not every recipe chooses from
    codes.
    """
    recipes = await services.pair_builder.recipes()
    recipe = "gift" if "gift" in recipes else recipes[0]
    rows = await services.pair_builder.build(recipe, {}, 0, _group(recipe))
    return f"{', '.join(recipes)}: {recipe} chose {len(rows)} rows of a group"


async def _health(target: str, tls: ClientTls | None, patience_s: float) -> str:
    """`SERVING`, waited for; raises Unavailable when the time is over in any other state."""
    end = time.monotonic() + patience_s
    while True:
        left_s = end - time.monotonic()
        try:
            seen = await _state(target, tls, min(max(left_s, _LOOK_S), _FRESH_S))
        except Unavailable:
            if left_s <= _FRESH_S:
                raise
            continue
        if seen == "SERVING":
            return seen
        if left_s < _LOOK_S:
            raise Unavailable(f"health: expected SERVING, saw {seen}")
        await asyncio.sleep(_LOOK_S)


async def _state(target: str, tls: ClientTls | None, timeout_s: float) -> str:
    """What a service says of its health, by a channel of its own."""
    async with open_channel(target, tls) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await call_once(stub.Check, health_pb2.HealthCheckRequest(), timeout_s)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def _group(recipe: str) -> Group:
    """A task with one sample that passed and was scored."""
    made = Provenance(TASK.task_id, recipe, 1)
    sample = Sample("s", Kind.CODE, 0, 0, "", SOURCE, SOURCE, -4.0, 4, 8, "stop", made)
    outcome = Outcome(sample.sample_id, TEST.test_id, Verdict.PASS, JudgedAt.OUTSIDE, "", "")
    return Group(TASK, (sample,), (outcome,), {sample.sample_id: Score(-4.0, 8, "")})
