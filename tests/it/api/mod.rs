//! Every route and every error, against a whole server.

mod always;
mod codes;
mod fusebox;
mod profiles;
mod pushing;
mod refusals;
mod triage;
