//! The cellar: the pool, the embedded cluster, migrations, and what SQLSTATEs mean.

mod db;
mod embedded;
mod migrate;
#[doc(hidden)]
pub mod testing;

pub use db::{Db, DbError, Repeat};
pub use embedded::{Embedded, EmbeddedError, EmbeddedSettings};
