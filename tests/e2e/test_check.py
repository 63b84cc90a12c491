"""`crossdock check` on a file with many mistakes: all of them, each with its line and what it should have been."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

MADE_UP = "made-up-secret"
ROUTING = """\
version: 1

connections:
  crm: {connector: pipedrive, api_token: "${CHECKED_TOKEN}"}
  board:
    connector: assana  # wrong: unknown connector assana; did you mean asana?
  books:
    connector: quickbooks
    realm_id: "1"
    client_id: made-up
    client_secret: "${CHECKED_TOKEN}"
    refresh_tokn: "${CHECKED_TOKEN}"  # wrong: unknown key refresh_tokn; did you mean refresh_token?
  alerts:
    connector: slack
    channel: C1
    bot_token: "${NOT_SET_ANYWHERE}"  # wrong: the environment variable NOT_SET_ANYWHERE is not set

flows:
  bad-event:
    when: crm.deal.wonn  # wrong: unknown event crm.deal.wonn; did you mean crm.deal.won?
    legs:
      update: {do: crm.deal.update, with: {id: "1", title: x}}
  bill:
    when: crm.deal.won
    legs:
      customer:
        do: book.customer.find_or_create  # wrong: unknown connection book; did you mean books?
        with: {name: "{{ deal.organization.name }}"}
      invoice:
        do: books.invoice.crete  # wrong: unknown action books.invoice.crete; did you mean books.invoice.create?
        with: {customer_id: "{{ customer.id }}"}
      writeback:
        do: crm.deal.update
        with:
          id: "{{ deal.idd }}"  # wrong: unknown field deal.idd; did you mean deal.id?
          titel: x  # wrong: crm.deal.update has no input titel; did you mean title?
          status: "{{ deal.status | uper }}"  # wrong: unknown filter uper; did you mean upper?
      early:
        do: crm.note.create
        with:
          deal_id: "{{ deal.id }}"
          content: "{{ late.id }}"  # wrong: reads the leg late, which comes later; move it up
      late:
        do: crm.note.create
        with: {deal_id: "{{ deal.id }}"}  # wrong: crm.note.create needs the input content
    retry:
      frist: 2s  # wrong: unknown key frist; did you mean first?
    notify:
      - alert  # wrong: unknown connection alert; did you mean alerts?
"""
EXPECTED = {
    number: line.partition("# wrong: ")[2] for number, line in enumerate(ROUTING.splitlines(), 1) if "# wrong: " in line
}


def check(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("CROSSDOCK_")} | {"CHECKED_TOKEN": MADE_UP}
    command = [sys.executable, "-m", "crossdock", "check", path.name, *options]
    return subprocess.run(command, cwd=path.parent, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "wrong.yaml"
    path.write_text(ROUTING)
    return path


def test_every_mistake_is_listed_with_its_line_and_the_right_name(wrong: Path) -> None:
    done = check(wrong)
    assert (done.returncode, done.stderr) == (2, f"crossdock: wrong.yaml: {len(EXPECTED)} mistakes\n")
    said = [re.fullmatch(r"wrong\.yaml:(\d+): [\w.-]+: (.+)", line) for line in done.stdout.splitlines()]
    assert [(int(m[1]), m[2]) for m in said if m] == sorted(EXPECTED.items())
    assert len(said) == len(EXPECTED) >= 10
    assert MADE_UP not in done.stdout


def test_json_lists_the_same_for_a_program(wrong: Path) -> None:
    done = check(wrong, "--json")
    assert (done.returncode, done.stderr) == (2, "")
    shown = json.loads(done.stdout)
    assert shown["ok"] is False
    listed = {p["line"]: p["message"] + (f"; {p['hint']}" if p["hint"] else "") for p in shown["problems"]}
    assert listed == EXPECTED
    lines = ROUTING.splitlines()
    for problem in shown["problems"]:
        assert problem["column"] <= len(lines[problem["line"] - 1])
        assert problem["path"].startswith(("connections.", "flows."))


def test_a_file_that_is_no_yaml_is_one_mistake_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("version: 1\nconnections:\n  crm: {connector: pipedrive\nflows: {}\n")
    done = check(path)
    assert (done.returncode, done.stderr) == (2, "crossdock: broken.yaml: 1 mistake\n")
    assert re.fullmatch(r"broken\.yaml:[345]: .+\n", done.stdout), done.stdout


@pytest.mark.parametrize(
    ("when", "says"), [("", "when is missing"), ("when: [crm.deal.won], ", "must be text, not a list")]
)
def test_a_flow_whose_when_cannot_be_read_is_held_against_the_only_event_there_is(
    tmp_path: Path, when: str, says: str
) -> None:
    legs = '{a: {do: crm.note.create, with: {deal_id: "{{ deal.idx }}", content: x}}}'
    hook = "{user: u, password: abcdefgh}"
    crm = f"{{connector: pipedrive, base_url: 'https://a.example', api_token: abcdefgh, webhook: {hook}}}"
    file = tmp_path / "crossdock.yaml"
    file.write_text(f"version: 1\nconnections: {{crm: {crm}}}\nflows:\n  f: {{{when}legs: {legs}}}\n")
    done = subprocess.run(
        [sys.executable, "-m", "crossdock", "check", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert says in done.stdout
    assert "unknown field deal.idx; did you mean deal.id?" in done.stdout


def test_a_notifier_in_another_role_is_told_what_it_cannot_do_and_who_can_notify(tmp_path: Path) -> None:
    mail = "{connector: email, host: smtp.example.com, from: a@b.example, to: [c@d.example]}"
    hook = "{user: u, password: abcdefgh}"
    crm = f"{{connector: pipedrive, base_url: 'https://a.example', api_token: abcdefgh, webhook: {hook}}}"
    slack = "{connector: slack, webhook_url: 'https://hooks.example.com/services/T/B/abcdefgh'}"
    file = tmp_path / "crossdock.yaml"
    file.write_text(
        f"version: 1\nconnections: {{crm: {crm}, alerts: {slack}, mail: {mail}}}\nflows:\n"
        "  f:\n    when: mail.deal.won\n    legs: {a: {do: mail.send, with: {text: x}}}\n"
        "    notify: [mail, alerts, crm]\n"
    )
    done = check(file)
    assert done.returncode == 2
    said = dict(line.split(": ", 2)[1:] for line in done.stdout.splitlines())
    assert said == {
        "flows.f.when": "connection mail (email) brings no events; did you mean crm.deal.won?",
        "flows.f.legs.a.do": "connection mail (email) has no actions",
        "flows.f.notify.2": "connection crm (pipedrive) cannot notify anyone; these can: alerts, mail",
    }


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ("security: none, username: u, password: abcdefgh", "security: none would send the password in plain text"),
        ("security: ssl", "security: must be 'starttls', 'tls' or 'none'"),
        ("username: u", "give username and password, or neither"),
        ("frm: x", "unknown key frm; did you mean from?"),
        ("port: many", "port: must be a whole number"),
        ("reply_to: nobody", "reply_to: must be an address such as ops@example.com"),
    ],
)
def test_a_mail_connection_says_what_is_wrong_with_it(tmp_path: Path, changed: str, says: str) -> None:
    mail = f"{{connector: email, host: smtp.example.com, from: a@b.example, to: [c@d.example], {changed}}}"
    hook = "{user: u, password: abcdefgh}"
    crm = f"{{connector: pipedrive, base_url: 'https://a.example', api_token: abcdefgh, webhook: {hook}}}"
    legs = '{a: {do: crm.deal.update, with: {id: "{{ deal.id }}", title: x}}}'
    file = tmp_path / "crossdock.yaml"
    file.write_text(
        f"version: 1\nconnections: {{crm: {crm}, mail: {mail}}}\nflows:\n"
        f"  f: {{when: crm.deal.won, ignore: ['deal.*'], legs: {legs}, notify: [mail]}}\n"
    )
    done = check(file)
    assert done.returncode == 2
    assert says in done.stdout
    assert len(done.stdout.splitlines()) == 1
