"""A distribution that cannot even be imported."""

raise RuntimeError("the crash plugin needs a library that is not here")
