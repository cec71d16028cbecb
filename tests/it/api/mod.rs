//! Every route and every error, against a whole server.

mod always;
mod fusebox;
mod refusals;
