//! The cellar: the pool, the embedded cluster, migrations, and what SQLSTATEs mean.

mod db;

pub use db::{Db, DbError, Repeat};
