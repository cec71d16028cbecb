//! Business decisions: they reach data through ports only.
