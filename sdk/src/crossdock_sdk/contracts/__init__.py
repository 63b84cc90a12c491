"""The four kinds of things a connector can be, one module each, and the connection that they share."""
