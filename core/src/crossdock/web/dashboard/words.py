"""What statuses and kinds of error mean to whoever is on call, and what to do about them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """A kind of trouble in words: what it is, and what mends it."""

    what: str
    mend: str


_UNKNOWN = Meaning("Something went wrong.", "Read the message, mend the cause, and replay the run.")

KINDS = {
    "rejected": Meaning(
        "The vendor understood the request and refuses it; asking again does not help.",
        "Mend what the message names, at the vendor or in this run's input, and replay.",
    ),
    "not_found": Meaning(
        "What the write refers to does not exist at the vendor.",
        "Put it back there, or correct the reference in this run's input, and replay.",
    ),
    "discrepancy": Meaning(
        "The write took effect, but not as it was asked for.",
        "Compare what stands at the vendor with the payload; a replay takes it back and writes it anew.",
    ),
    "mapping": Meaning(
        "The routing file and this record do not fit; the run stopped before it wrote with it.",
        "Correct the field at the source, edit the input here, or mend the mapping, and replay.",
    ),
    "config": Meaning(
        "The run cannot go on with what is installed and configured.",
        "Put back or install what the message names; the run goes on by itself.",
    ),
    "ambiguous": Meaning(
        "The request was sent and its reply was lost: whether it took effect is being found out.",
        "Nothing, unless it stays so: then look at the vendor and say what you see.",
    ),
    "unavailable": Meaning("The vendor answered that it could not do it now.", "Nothing: it is tried again by itself."),
    "transient": Meaning(
        "The vendor did not answer, or failed, for reasons of its own.",
        "Nothing while it is tried again; if it ended the run, see whether the vendor is well, and replay.",
    ),
    "throttled": Meaning("The vendor asked us to slow down.", "Nothing: it goes on by itself, and burns no try."),
    "auth": Meaning(
        "The vendor refuses the credentials of this connection.",
        "Renew them in the routing file's settings; the runs that wait go on by themselves.",
    ),
    "outage": Meaning(
        "The vendor does not answer anybody at the moment.",
        "Nothing is lost: it is asked again and again, and the runs go on by themselves.",
    ),
    "again": Meaning(
        "This key was done before, and an earlier run's work stands.",
        "Let it go on to make another, or cancel it to leave what stands.",
    ),
    "changed": Meaning(
        "What stands since an earlier run differs from what would be written now.",
        "Let it go on to keep what stands, or cancel it to take that back.",
    ),
    "origin": Meaning("It follows another run, which has not ended.", "Nothing: it goes on when that has."),
    "defect": Meaning(
        "Crossdock itself failed over this run, or cannot read its rows.",
        "Report what the log says; it is tried again by itself.",
    ),
    "approval": Meaning("It waits for a person's yes.", "Look at what it would write, and approve or reject it."),
    "not_approved": Meaning(
        "A person said no, or nobody said yes in time.", "Nothing was written; replay it to ask again."
    ),
    "void": Meaning("What the event was about is no longer so.", "Nothing."),
}


def meaning(kind: str | None) -> Meaning:
    """What a kind of error means; a general word for one that a connector made up."""
    return KINDS.get(kind or "", _UNKNOWN)


STATUSES = {
    "queued": "It waits for its turn.",
    "running": "It is being performed.",
    "waiting": "It goes on by itself.",
    "awaiting_approval": "Nothing was written. It waits for a person's yes.",
    "held": "It waits for a person. What it wrote so far stands.",
    "in_doubt": "A write may or may not have taken effect. Look at the vendor and say what you see.",
    "rolling_back": "What it wrote is being taken back.",
    "succeeded": "Every leg took effect, once.",
    "rolled_back": "It failed, and nothing of it remains.",
    "dead": "It failed. See below what stands and what does not.",
    "ignored": "There was nothing to do.",
    "cancelled": "A person ended it.",
}


FATES = {
    "write": "is written",
    "keep": "stands already, and is kept",
    "differs": "stands, and would be written otherwise now: the run stops for a person",
    "settle": "is in doubt: that is found out first",
    "redo": "stands: it is taken back and written anew",
    "off": "is not enabled",
    "broken": "cannot be written",
}
"""What a replay would do about a leg."""
