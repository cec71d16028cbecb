//! The embedded profile store: an adapter of [`super::ProfileDataSor`] on PostgreSQL, and the door that pushed profiles
//! come in by.

pub mod codec;
