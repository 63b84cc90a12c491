"""The checkpoint store. `base` is the protocol, `sqlite` the store on one file, `opening` picks by URL."""
