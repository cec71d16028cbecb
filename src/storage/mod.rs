//! The cellar: the pool, the embedded cluster, migrations, and what SQLSTATEs mean.
//!
//! [`Db`] is the only way to the database. It is opened at once and connects when asked; [`Db::prepare`] waits for the
//! server and migrates it, [`Db::health`] says how it does. [`Embedded`] runs a private server for whoever has none.

mod db;
mod embedded;
mod health;
pub mod migrate;
mod pool;
mod rows;
mod schema;
mod source;
mod sqlstate;
#[doc(hidden)]
pub mod testing;
mod warm;

pub use db::{Db, DbError, Repeat};
pub use embedded::{Embedded, EmbeddedError, EmbeddedSettings};
pub use health::{Condition, Health};
pub use pool::{PoolSettings, PoolStats};
pub use rows::{Broken, Columns, apart, begin, keep, kept, readable};
pub use schema::Schema;
pub use source::{InvalidUrl, embedded_settings, options_of};
