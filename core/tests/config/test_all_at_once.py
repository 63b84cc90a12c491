"""One mistake hides no other: a wrong name is taken for the nearest right one, and the rest is held against that."""

from __future__ import annotations

import re

import pytest
from crossdock.config.load import ConfigProblems, load
from crossdock.plugins import Registry


def problems(text: str, registry: Registry, env: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigProblems) as caught:
        load(text, env=env, registry=registry)
    return [str(problem).removeprefix("crossdock.yaml:") for problem in caught.value.problems]


def marked(text: str, registry: Registry, env: dict[str, str]) -> None:
    """Each `# wrong: …` is found in its line, or in the one above if it stands alone, and nothing else is."""
    wanted, last = [], 0
    for number, line in enumerate(text.splitlines(), 1):
        said, mark, message = line.partition("# wrong: ")
        last = number if said.strip() else last
        wanted += [(last, message)] if mark else []
    found = [re.fullmatch(r"(\d+): (?:[\w.-]+: )?(.+)", problem) for problem in problems(text, registry, env)]
    assert sorted((int(m[1]), m[2]) for m in found if m) == sorted(wanted)


WRONG_EVENT = """\
version: 1
connections:
  crm: {connector: acmecrm, api_token: "${CRM_TOKEN}"}
flows:
  f:
    when: crm.deal.wonn  # wrong: unknown event crm.deal.wonn; did you mean crm.deal.won?
    key: "{{ deal.idd }}"  # wrong: unknown field deal.idd; did you mean deal.id?
    ignore: [deal.custmo.x]  # wrong: unknown field deal.custmo; did you mean deal.custom?
    checks:
      - {that: "{{ deal.valeu == 1 }}", say: x}  # wrong: unknown field deal.valeu; did you mean deal.value?
    legs:
      a:
        do: crm.deal.update
        with:
          id: "{{ deel.idd }}"
          # wrong: unknown name deel; did you mean deal?
          # wrong: unknown field deal.idd; did you mean deal.id?
          title: "{{ deal.titel }}"  # wrong: unknown field deal.titel; did you mean deal.title?
"""


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("crm.deal.wonn", ("unknown event crm.deal.wonn; did you mean crm.deal.won?",)),
        ("crn.deal.won", ("unknown connection crn; did you mean crm?",)),
        ("acmecrm.deal.won", ("unknown connection acmecrm; did you mean crm?",)),
        ("deal.won", ("unknown connection deal; did you mean crm.deal.won?",)),
        (
            "crn.deal.wonn",
            (
                "unknown connection crn; did you mean crm?",
                "unknown event crm.deal.wonn; did you mean crm.deal.won?",
            ),
        ),
        (
            "crm/deal.won",
            ("'crm/deal.won' is not a connection and an event, such as crm.deal.won; did you mean crm.deal.won?",),
        ),
    ],
)
def test_a_wrong_event_hides_no_field(
    registry: Registry, env: dict[str, str], when: str, says: tuple[str, ...]
) -> None:
    right = "crm.deal.wonn  # wrong: unknown event crm.deal.wonn; did you mean crm.deal.won?"
    assert right in WRONG_EVENT
    marked(WRONG_EVENT.replace(right, "\n    # wrong: ".join((when, *says))), registry, env)


def test_a_flow_without_legs_hides_neither_event_nor_key(registry: Registry, env: dict[str, str]) -> None:
    head = WRONG_EVENT[: WRONG_EVENT.index("    legs:")]
    needed = "a flow needs at least one leg: `legs: {name: {do: …, with: …}}`"
    marked(f"{head}    legs: {{}}  # wrong: {needed}\n", registry, env)
    marked(head.replace("  f:", f"  f:  # wrong: {needed}"), registry, env)
    marked(f"{head}    legs: {{a: 5}}  # wrong: a leg must be a mapping with do and with\n", registry, env)


MISSPELT = """\
version: 1
conections:  # wrong: unknown key conections; did you mean connections?
  crm:
    conector: acmecrm  # wrong: unknown key conector; did you mean connector?
    api_token: "${CRM_TOKN}"  # wrong: the environment variable CRM_TOKN is not set; did you mean CRM_TOKEN?
  books:
    connector: acmeboks  # wrong: unknown connector acmeboks; did you mean acmebooks?
    client_idd: x  # wrong: unknown key client_idd; did you mean client_id?
    environment: sandboxx  # wrong: must be 'production' or 'sandbox'; did you mean sandbox?
  alerts: {connector: pager, base_url: "https://pager.example"}
flows:
  f:
    wen: crm.deal.won  # wrong: unknown key wen; did you mean when?
    again: hodl  # wrong: must be 'hold', 'ignore' or 'allow'; did you mean hold?
    retry:
      frist: soon
      # wrong: unknown key frist; did you mean first?
      # wrong: 'soon' is no duration; write it like 2s, 10m, 1h30m or 500ms
    notify:
      - pager  # wrong: unknown connection pager; did you mean alerts?
      - log  # wrong: unknown connection log; add one under connections: `log: {connector: log}`
      - acmecrm  # wrong: unknown connection acmecrm; did you mean crm?
    legs:
      write-back:  # wrong: is no name here; use letters, digits and _
        do: crm.deal.update
        wiht:  # wrong: unknown key wiht; did you mean with?
          id: "{{ deal.idd }}"  # wrong: unknown field deal.idd; did you mean deal.id?
          titel: x  # wrong: crm.deal.update has no input titel; did you mean title?
      invoice:
        do: bocks.invoice.crete
        # wrong: unknown connection bocks; did you mean books?
        # wrong: unknown action books.invoice.crete; did you mean books.invoice.create?
        with:
          customer_id: "{{ late.idd }}"
          # wrong: reads the leg late, which comes later; move it up
          # wrong: unknown field late.idd; did you mean late.id?
          memmo: x  # wrong: books.invoice.create has no input memmo; did you mean memo?
          lines:
            eech: "{{ deal.prodcts }}"
            # wrong: unknown key eech beside each; did you mean each?
            # wrong: unknown field deal.prodcts; did you mean deal.products?
            as: product
            with:
              sku: "{{ prodct.cod }}"
              # wrong: unknown name prodct; did you mean product?
              # wrong: unknown field deal.products.*.cod; did you mean deal.products.*.code?
              quantity: "{{ q }}"  # wrong: unknown name q; known here: deal, product
              unit_price: abc  # wrong: books.invoice.create, lines, unit_price must be a number, not 'abc'
      late:
        enabled: flase  # wrong: must be true or false; did you mean false?
        on_failure: skipp  # wrong: must be 'rollback', 'skip' or 'hold'; did you mean skip?
        do: books.customer.find_or_create
        with:
          name: "{{ deal.titl | uper }} {{ deal.persn.name }}"
          # wrong: unknown filter uper; did you mean upper?
          # wrong: unknown field deal.persn; did you mean deal.person?
          # wrong: unknown field deal.titl; did you mean deal.title?
      unsaid:  # wrong: do is missing
        with: {id: "{{ deal.iid }}"}  # wrong: unknown field deal.iid; did you mean deal.id?
      listed:
        do: books.invoice.create
        with:
          customer_id: 1
          memo: "{{ deal.organisation.nam }}"
          # wrong: unknown field deal.organisation; did you mean deal.organization?
          # wrong: unknown field deal.organization.nam; did you mean deal.organization.name?
          lines: []  # wrong: books.invoice.create, lines must not be empty
"""


def test_everything_that_people_misspell_is_found_at_once(registry: Registry, env: dict[str, str]) -> None:
    marked(MISSPELT, registry, env)


def test_what_is_under_a_guessed_connector_is_not_called_missing(registry: Registry) -> None:
    text = "version: 1\nconnections:\n  b: {connector: acmeboks}\n"
    assert problems(text, registry, {}) == [
        "3: connections.b.connector: unknown connector acmeboks; did you mean acmebooks?"
    ]


def test_a_loop_without_each_is_pointed_at_it(good: str, registry: Registry, env: dict[str, str]) -> None:
    (found, *_) = problems(good.replace('            each: "{{ deal.products }}"\n', ""), registry, env)
    assert found.startswith(
        "24: flows.deal-to-invoice.legs.invoice.with.lines: books.invoice.create, lines takes a list"
    )
    assert found.endswith("not a mapping; a loop is {each: …, as: item, with: …}")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("as: product", "as: {a: b}", "as must be a name such as product"),
        ('that: "{{ invoice.total == deal.value }}"', "that: [a]", "must be text"),
        ("- that:", "- that: [a]\n      - no: 1\n        that:", "say is missing"),
        ("{{ deal.products }}", "[1]", "must be one {{ expression }} that gives a list"),
        ("notify: [alerts]", "notify: [alerts, [a]]", "must be text"),
        ("notify: [alerts]", "tables: {t: [a]}", "must be a mapping"),
    ],
)
def test_a_thing_of_the_wrong_sort_hides_no_field(
    good: str, registry: Registry, env: dict[str, str], old: str, new: str, says: str
) -> None:
    assert old in good
    found = problems(good.replace(old, new).replace("deal.person.email", "deal.person.emial"), registry, env)
    assert any(says in problem for problem in found), found
    assert any("did you mean deal.person.email?" in problem for problem in found), found


MANY = """\
version: 1
connections:
  crm:    {connector: acmecrm, api_token: "${CRM_TOKEN}", api_secret: x}
  books:  {connector: acmeboks}
  alerts: {connector: pager}
flows:
  one:
    when: crm.deal.wonn
    legs: {a: {do: crm.deal.update, with: {id: "1", tilte: x}}}
  two:
    when: crm.deal.won
    key: "{{ deal.title }}"
    ignore: [deal.custm.x]
    zone: Europe/Berln
    retry: {first: soon}
    checks: [{that: "{{ a.idd == 1 }}", say: x}]
    legs:
      a:
        do: crm.deal.update
        with: {id: "{{ b.id }}", title: "{{ deal.titel | uper }}", status: "{{ deal.stat }}"}
      b:
        do: crm.deal.updat
        wiht: {}
      c: {do: crm.deal.update, with: {title: "{{ f( }}"}}
    notify: [crm]
  three: {when: crm.deal.won}
"""


def test_more_than_ten_mistakes_in_one_file_are_all_found_at_once(registry: Registry) -> None:
    found = problems(MANY, registry, {"CRM_TOKEN": "12345678"})
    assert found == [
        "3: connections.crm.api_secret: unknown key api_secret",
        "4: connections.books.connector: unknown connector acmeboks; did you mean acmebooks?",
        "5: connections.alerts.base_url: base_url is missing",
        "8: flows.one.when: unknown event crm.deal.wonn; did you mean crm.deal.won?",
        "9: flows.one.legs.a.with.tilte: crm.deal.update has no input tilte; did you mean title?",
        "12: flows.two.key: deal.title is not known when the event arrives; a key may read deal.id",
        "13: flows.two.ignore.0: unknown field deal.custm; did you mean deal.custom?",
        "14: flows.two.zone: unknown time zone Europe/Berln; did you mean Europe/Berlin?",
        "15: flows.two.retry.first: 'soon' is no duration; write it like 2s, 10m, 1h30m or 500ms",
        "16: flows.two.checks.0.that: unknown field a.idd; did you mean a.id?",
        "20: flows.two.legs.a.with.id: reads the leg b, which comes later; move it up",
        "20: flows.two.legs.a.with.title: unknown filter uper; did you mean upper?",
        "20: flows.two.legs.a.with.title: unknown field deal.titel; did you mean deal.title?",
        "20: flows.two.legs.a.with.status: unknown field deal.stat; did you mean deal.status?",
        "22: flows.two.legs.b.do: unknown action crm.deal.updat; did you mean crm.deal.update?",
        "23: flows.two.legs.b.wiht: unknown key wiht; did you mean with?",
        "24: flows.two.legs.c.with: crm.deal.update needs the input id",
        "24: flows.two.legs.c.with.title: cannot be read: unexpected '}', expected ')'",
        "25: flows.two.notify.0: connection crm (acmecrm) cannot notify anyone; these can: alerts",
        "26: flows.three: a flow needs at least one leg: `legs: {name: {do: …, with: …}}`",
    ]
