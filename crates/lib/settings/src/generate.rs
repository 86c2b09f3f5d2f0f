//! The files that are made from the registry: example settings and the reference page.
