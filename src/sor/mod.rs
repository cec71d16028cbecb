//! The systems of record: each owns one kind of data and decides nothing.

pub mod alert_rule;
pub mod audit;
pub mod baseline;
pub mod history;
pub mod incident;
pub mod notification;
pub mod performance;
pub mod profile_data;
pub mod registry;
pub mod schedule;

#[cfg(test)]
mod testing;
