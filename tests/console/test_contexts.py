"""Contexts: the configuration file, which one is meant, `cronsole contexts`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backends.connect import Settings
from backends.contexts import current_settings, load_config
from backends.errors import BadInputError
from console.console_ops import ConsoleOps
from console.contexts import Choice, choices
from console.settings import Preferences
from tests.console.app_helpers import QUICK, Clock, Console, Recorded
from tests.console.cli_helpers import Cli
from tests.console.fake_ops import FakeOps
from widgets.statusline import StatusLine

FILE = """
default_context = "prod-eu"

[contexts.prod-eu]
redis_url = "redis://ops:s3cret@redis.eu:6379/0"
postgres_url = "postgresql://ops:s3cret@pg.eu/cronsole?sslpassword=s3cret"
namespace = "shop"
jobs = "shop/jobs.toml"
color = "red"
read_only = true

[contexts.laptop]
"""


def environment(folder: Path, text: str = FILE, **more: str) -> dict[str, str]:
    (folder / "config.toml").write_text(text)
    return {"CRONSOLE_CONFIG": str(folder / "config.toml"), "CRONSOLE_DATA_DIR": str(folder), **more}


def test_the_default_context_is_taken_whole(tmp_path: Path) -> None:
    found = current_settings(env=environment(tmp_path))
    assert (found.context, found.namespace, found.read_only) == ("prod-eu", "shop", True)
    assert found.redis_url == "redis://ops:s3cret@redis.eu:6379/0"
    assert found.jobs_file == tmp_path / "shop/jobs.toml"
    assert load_config(environment(tmp_path)).contexts["prod-eu"].color == "red"


def test_who_wins(tmp_path: Path) -> None:
    """Option, variable, servers of the environment, default."""
    env = environment(tmp_path, CRONSOLE_REDIS_URL="redis://here:1", CRONSOLE_NAMESPACE="mine")
    assert current_settings(env=env) == Settings("redis://here:1", None, "mine", tmp_path)
    named = current_settings("laptop", env)
    assert (named.context, named.redis_url, named.namespace) == ("laptop", None, "default")
    assert current_settings(env={**env, "CRONSOLE_CONTEXT": "prod-eu"}).namespace == "shop"
    assert current_settings("laptop", {**env, "CRONSOLE_CONTEXT": "prod-eu"}).context == "laptop"
    assert current_settings("prod-eu", {**env, "CRONSOLE_READ_ONLY": "0"}).read_only, "it is never taken away"
    assert current_settings("laptop", {**env, "CRONSOLE_READ_ONLY": "1"}).read_only
    assert current_settings("prod-eu", {**env, "CRONSOLE_JOBS": "x.toml"}).jobs_file == Path("x.toml")


def test_without_a_file_the_variables_count(tmp_path: Path) -> None:
    env = {"CRONSOLE_CONFIG": str(tmp_path / "none.toml"), "CRONSOLE_DATA_DIR": str(tmp_path)}
    assert current_settings(env=env) == Settings(None, None, "default", tmp_path)


@pytest.mark.parametrize(
    ("text", "told", "remedy"),
    [
        ("[contexts", "config.toml", "mend or remove"),
        ("contexts = 3", "contexts is not a table", "[contexts]"),
        ("[contxts.a]", "unknown key 'contxts'", "'contexts'"),
        ("contexts.a = 3", "[contexts.a] is not a table", "[contexts.a]"),
        ('[contexts."a b"]', "'a b'", "letters"),
        ("[contexts.a]\nredis = 'x'", "unknown key 'redis' in [contexts.a]", "redis_url"),
        ("[contexts.a]\nredis_url = 3", "redis_url in [contexts.a] has a wrong value", "text"),
        ("[contexts.a]\nread_only = 'yes'", "read_only in [contexts.a]", "true or false"),
        ("[contexts.a]\ncolor = 'gren'", "color = 'gren'", "'green'"),
        ("default_context = 'b'\n[contexts.a]", "default_context = 'b'", "a"),
        ("default_context = [1]", "no context", "[contexts.NAME]"),
        ("default_context = 'a'\n[contexts.a]\nredis_url = 'host:1'", "redis_url of the context a", "redis://"),
        ("default_context = 'a'\n[contexts.a]\nnamespace = 'a/b'", "'a/b'", "namespace of the context a"),
    ],
)
def test_a_bad_file_is_one_line_with_the_remedy(tmp_path: Path, text: str, told: str, remedy: str) -> None:
    with pytest.raises(BadInputError) as caught:
        current_settings(env=environment(tmp_path, text))
    assert told in caught.value.message
    assert remedy in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_the_wrong_value_of_a_url_is_not_told(tmp_path: Path) -> None:
    text = "[contexts.a]\nredis_url = ['redis://:s3cret@h']"
    with pytest.raises(BadInputError) as caught:
        load_config(environment(tmp_path, text))
    assert "s3cret" not in str(caught.value)


def test_an_unknown_context_says_which_are_there(tmp_path: Path) -> None:
    for name, env in (("prod-us", {}), (None, {"CRONSOLE_CONTEXT": "prod-us"})):
        with pytest.raises(BadInputError) as caught:
            current_settings(name, environment(tmp_path, **env))
        assert "'prod-eu'" in caught.value.remedy
        assert ("CRONSOLE_CONTEXT" if env else "--context") in caught.value.message


def test_cronsole_contexts_lists_them_without_passwords(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    answer = cli("--context", "laptop", "contexts")
    assert answer.code == 0
    assert "s3cret" not in answer.out
    header, prod, laptop = (line.split() for line in answer.out.splitlines())
    assert prod[:3] == ["prod-eu", "-", "redis://ops:***@redis.eu:6379/0"]
    assert laptop == ["laptop", "current", "embedded", "embedded", "default", "-"]
    assert header[0] == "CONTEXT"
    rows = cli("contexts", "--json").json
    assert [(r["name"], r["current"], r["read_only"]) for r in rows] == [
        ("prod-eu", False, True),
        ("laptop", False, False),
    ]


def test_commands_act_in_the_context_that_is_named(
    cli: Cli, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"""
    [contexts.here]
    redis_url = "{settings.redis_url}"
    postgres_url = "{settings.postgres_url}"
    namespace = "{settings.namespace}"
    read_only = true
    [contexts.nowhere]
    redis_url = "redis://127.0.0.1:1"
    postgres_url = "{settings.postgres_url}"
    """
    monkeypatch.setenv("CRONSOLE_CONFIG", environment(tmp_path, text)["CRONSOLE_CONFIG"])
    monkeypatch.delenv("CRONSOLE_REDIS_URL")
    assert cli("--context", "here", "queues", "--json").code == 0
    refused = cli("--context", "here", "pause", "queue:default")
    assert refused.code == 4
    assert "another context" in refused.err
    monkeypatch.setenv("CRONSOLE_CONTEXT", "nowhere")
    lost = cli("queues")
    assert lost.code == 3
    assert "redis_url of the context nowhere" in lost.err
    assert cli("--context", "gone", "queues").code == 2


class Servers:
    """What is open; a context without an Ops never answers."""

    def __init__(self) -> None:
        self.open: list[str] = []

    def of(self, name: str, ops: FakeOps | None) -> Choice:
        @asynccontextmanager
        async def opens() -> AsyncIterator[ConsoleOps]:
            if ops is None:
                await asyncio.Event().wait()
            assert ops is not None
            ops.context_name = name
            self.open.append(name)
            try:
                yield ops
            finally:
                self.open.remove(name)

        return Choice(name, opens, "red" if name == "prod-eu" else "", name == "stage")


async def test_ctx_switches_without_waiting_for_anybody() -> None:
    clock, servers = Clock(), Servers()
    prod, stage = FakeOps(clock), FakeOps(clock, read_only=True)
    stage.dead = stage.dead[:2]
    contexts = [servers.of("prod-eu", prod), servers.of("stage", stage), servers.of("lost", None)]
    preferences = Preferences(timezone="UTC")
    app = Recorded(contexts[0].opens, "prod-eu", contexts=contexts, preferences=preferences, clock=clock, pace=QUICK)
    async with app.run_test(size=(120, 36)) as pilot:
        c = Console(app, pilot, prod, clock)
        await c.until(lambda: "37 dead" in c.screen())
        header = app.overview.query_one("#header", StatusLine).content[0]
        assert [tone for text, tone in header if "prod-eu" in text] == ["badge-red"]
        await pilot.press("8")
        await c.until(lambda: "web-2:991" in c.screen())
        app.switch_context("lost")
        await c.until(lambda: " lost" in c.line("header") and "redis connecting" in c.screen())
        assert "37 dead" not in c.screen()
        assert app.screen is app.overview
        await c.until(lambda: not servers.open)
        app.switch_context("stage")
        await c.until(lambda: "2 dead" in c.screen())
        assert "stage read-only" in c.line("header")
        await pilot.press("8")
        await c.until(lambda: "web-2:991" in c.screen())
        await pilot.press("escape")
        assert app.screen is app.overview
        for name in ("nowhere", "stage"):
            app.switch_context(name)
            await pilot.pause()
        assert servers.open == ["stage"]
        assert len(app.screen_stack) == 1
    await app.closed()
    assert servers.open == []


def test_the_console_can_go_to_every_context_of_the_file(tmp_path: Path) -> None:
    env = environment(tmp_path)
    config = load_config(env)
    found = choices(config, current_settings("laptop", env), env)
    assert [(c.name, c.color, c.read_only) for c in found] == [("laptop", "", False), ("prod-eu", "red", True)]
    refusing = choices(config, current_settings("laptop", env, read_only=True), env, read_only=True)
    assert all(c.read_only for c in refusing)
    unnamed = choices(config, current_settings(env={**env, "CRONSOLE_REDIS_URL": "redis://h:1"}), env)
    assert [c.name for c in unnamed] == ["default", "prod-eu", "laptop"]


async def test_a_context_with_a_bad_url_is_told_when_it_is_opened(tmp_path: Path) -> None:
    env = environment(tmp_path, "[contexts.bad]\nredis_url = 'nonsense'")
    _, bad = choices(load_config(env), Settings(None, None, "default", tmp_path), env)
    with pytest.raises(BadInputError) as caught:
        bad.opens()
    assert "redis_url of the context bad" in str(caught.value)
