//! The database: the pool, the embedded cluster, migrations, partitions, maintenance rounds, and the meaning of
//! SQLSTATEs.
//!
//! [`Db`] is the only way to the database. It connects when it is first used. [`Db::prepare`] waits for the server and
//! migrates it, and [`Db::health`] reports its health. [`Embedded`] runs a private server for users who have none.
//! Rooms describe tables that are partitioned by time as [`PartitionedTable`]s, and what is to be done every hour as
//! [`MaintenanceRound`]s.

mod acting;
mod db;
mod embedded;
mod health;
mod maintenance;
pub mod migrate;
mod partitions;
mod pool;
mod pooler;
mod recent;
mod rows;
mod schema;
mod source;
mod sqlstate;
#[cfg(test)]
#[expect(dead_code, reason = "the integration tests need the rest")]
pub(crate) mod testing;

pub use acting::{acting, acting_quietly};
pub use db::{Db, DbError, Repeat};
pub use embedded::{Embedded, EmbeddedError, EmbeddedSettings};
pub use health::{Condition, Health, PoolWatch};
pub use maintenance::{MaintenanceRound, run_maintenance};
pub use partitions::{Expired, PartitionedTable, Period, TableName};
pub use pool::{PoolSettings, PoolStats};
pub use pooler::options_behind;
pub(crate) use rows::words_in_rows;
pub use rows::{
    Columns, Row, apart, begin, camel_keys, changed, end_change, or_empty, snake_keys, stored, unless_empty, written,
};
pub use schema::{Reason, Schema};
pub use source::{InvalidUrl, embedded_settings, options_of};
