"""What keeps the house in order and no linter says: who may depend on whom, and how members are laid out."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = sorted(p.parent.name for p in ROOT.glob("plugins/*/pyproject.toml"))
MEMBERS = ["sdk", "core", *(f"plugins/{name}" for name in PLUGINS)]
SKIPPED = {"build", "cassettes", "dist", "node_modules"}
LONGEST_FILE = 600
LONGEST_FUNCTION = 80
_PYPI = "py" + "pi"
REGISTRIES = (f"{_PYPI}.org", "python" + "hosted.org", "registry." + "npmjs", f"{_PYPI}.python")


@cache
def project(folder: str) -> Mapping[str, Any]:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text())


def files(*suffixes: str) -> Iterator[Path]:
    for folder, inner, names in os.walk(ROOT):
        inner[:] = [n for n in inner if n not in SKIPPED and (n == ".ci" or not n.startswith((".", "__")))]
        yield from (Path(folder, n) for n in names if n.endswith(suffixes))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Top-level names that a file imports anywhere in it, with the line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0], node.lineno


def requirements(folder: str, *, extras: bool = True) -> list[Requirement]:
    given = project(folder)["project"]
    optional = given.get("optional-dependencies", {}).values() if extras else ()
    return [Requirement(r) for r in (*given.get("dependencies", ()), *(r for rs in optional for r in rs))]


def package(folder: str) -> str:
    return str(project(folder)["project"]["name"]).replace("-", "_")


def shown(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_there_are_plugins_and_every_one_is_a_member() -> None:
    assert PLUGINS
    assert {f"plugins/{p.name}" for p in (ROOT / "plugins").iterdir() if p.is_dir()} <= set(MEMBERS)


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_is_listed_wherever_members_are_listed(plugin: str) -> None:
    name, module = f"crossdock-{plugin}", f"crossdock_{plugin}"
    tool = project(".")["tool"]
    contracts = {c["name"]: c for c in tool["importlinter"]["contracts"]}
    assert module in tool["importlinter"]["root_packages"]
    assert module in contracts["the SDK imports nothing of ours"]["forbidden_modules"]
    assert module in contracts["the core never imports a plugin"]["forbidden_modules"]
    assert module in contracts["plugins import the SDK only, and not each other"]["modules"]
    assert module in contracts["a plugin never imports the core"]["source_modules"]
    assert f"plugins/{plugin}/src" in tool["mypy"]["mypy_path"]
    assert tool["uv"]["sources"][name] == {"workspace": True}
    (workspace,) = requirements(".")
    assert plugin in workspace.extras
    assert [Requirement(r).name for r in project("core")["project"]["optional-dependencies"][plugin]] == [name]


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugins_are_laid_out_alike(plugin: str) -> None:
    folder = ROOT / "plugins" / plugin
    source = folder / "src" / f"crossdock_{plugin}"
    assert project(f"plugins/{plugin}")["project"]["entry-points"] == {"crossdock": {plugin: f"crossdock_{plugin}"}}
    assert [p.name for p in (folder / "src").iterdir() if p.is_dir() and p.suffix != ".egg-info"] == [source.name]
    missing = [n for n in ("__init__.py", "py.typed", "connection.py") if not (source / n).is_file()]
    if not (source / "simulator.py").is_file() and not (source / "simulator" / "__init__.py").is_file():
        missing.append("simulator.py (or a package of that name)")
    missing += [n for n in ("README.md", "tests") if not (folder / n).exists()]
    assert not missing
    assert any((source / n).is_file() for n in ("source.py", "sink.py", "notifier.py"))


@pytest.mark.parametrize("folder", [".", *MEMBERS])
def test_siblings_are_required_by_a_range_that_holds_their_version(folder: str) -> None:
    versions = {project(m)["project"]["name"]: Version(project(m)["project"]["version"]) for m in MEMBERS}
    siblings = [r for r in requirements(folder) if r.name in versions]
    assert siblings or folder == "sdk"
    for requirement in siblings:
        operators = {s.operator for s in requirement.specifier}
        assert operators == {">=", "<"}, f"{requirement} in {folder} needs a lower and an upper bound"
        assert versions[requirement.name] in requirement.specifier, f"{requirement} in {folder}"


@pytest.mark.parametrize("folder", MEMBERS)
def test_a_member_declares_whatever_it_imports(folder: str) -> None:
    """In its own requirements, or in those of the SDK, which speaks httpx and pydantic to connectors."""
    owners = {**packages_distributions(), **{package(m): [project(m)["project"]["name"]] for m in MEMBERS}}
    declared = {canonicalize_name(r.name) for m in (folder, "sdk") for r in requirements(m)}
    undeclared = {
        f"{shown(path, line)} imports {name}"
        for path in (ROOT / folder / "src").rglob("*.py")
        for name, line in imports(path)
        if name != package(folder) and name not in sys.stdlib_module_names
        if not declared & {canonicalize_name(d) for d in owners.get(name, ())}
    }
    assert not undeclared


@pytest.mark.parametrize("folder", MEMBERS)
def test_a_member_ships_its_types_and_states_one_version(folder: str) -> None:
    source = ROOT / folder / "src" / package(folder)
    assert (source / "py.typed").is_file()
    stated = re.search(r'^__version__ = "(.+)"$', (source / "__init__.py").read_text(), re.MULTILINE)
    assert stated is None or stated[1] == project(folder)["project"]["version"]


def test_every_requirement_is_pinned_once_and_from_no_local_path() -> None:
    lines = [x for x in (ROOT / "constraints.txt").read_text().splitlines() if x and not x.startswith("#")]
    pins = {}
    for line in lines:
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line)
        assert match, f"not a plain pin: {line}"
        pins[canonicalize_name(match[1])] = Version(match[2])
    assert len(pins) == len(lines)
    ours = {canonicalize_name(project(m)["project"]["name"]) for m in MEMBERS}
    wanted = [r for m in MEMBERS for r in requirements(m)]
    wanted += [Requirement(r) for r in project(".")["dependency-groups"]["dev"]]
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        met = name in ours or (name in pins and pins[name] in requirement.specifier)
        assert met, f"{requirement} is not met by constraints.txt"


def test_nothing_is_imported_by_the_name_of_its_folder() -> None:
    wrong = [
        f"{shown(path, line)} imports {name}"
        for path in files(".py")
        for name, line in imports(path)
        if name in {"core", "sdk", "plugins"}
    ]
    assert not wrong


def test_no_tests_folder_is_a_package() -> None:
    assert not [p for p in files("__init__.py") if "tests" in p.relative_to(ROOT).parts]


def test_files_and_functions_stay_readable() -> None:
    long = [f"{shown(p, n)} is long" for p in files(".py") if (n := len(p.read_text().splitlines())) > LONGEST_FILE]
    for path in files(".py"):
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                long += [f"{shown(path, node.lineno)} {node.name}: {lines}"] if lines > LONGEST_FUNCTION else []
    assert not long


def test_no_file_names_a_package_registry() -> None:
    text = (".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".sql", ".sh", "Makefile", "run", "Dockerfile")
    assert not [p for p in files(*text) if any(host in p.read_text().lower() for host in REGISTRIES)]


@pytest.mark.parametrize(
    ("imported", "unwanted"),
    [
        ("crossdock_sdk", ["crossdock", *(f"crossdock_{p}" for p in PLUGINS), "fastapi", "jinja2", "pytest"]),
        ("crossdock", [f"crossdock_{p}" for p in PLUGINS]),
        *((f"crossdock_{p}", ["crossdock", "fastapi", "pytest"]) for p in PLUGINS),
    ],
)
def test_importing_one_member_pulls_in_no_other(imported: str, unwanted: list[str]) -> None:
    code = f"import sys, {imported}; print(*sorted(set(sys.modules) & set({unwanted!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
